"""A recipe's grid as runs: each in a process and a directory of its own, resumed from files."""
