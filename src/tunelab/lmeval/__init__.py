"""lm-eval's tasks, asked on the token tree (extra `lm-eval`)."""
