"""Tools of the repository, which no app needs; see each file's head."""
