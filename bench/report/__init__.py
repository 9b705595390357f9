"""What people see of a run: its page and its pictures, made from what is stored."""
