"""asyncbridge beside other ways to drive a Python process, each used as its documentation advises."""
