"""What every training of the suite shares."""
