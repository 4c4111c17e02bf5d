"""Boards, skeletons, norms and analysis settings as TOML, carried in the wheel."""
