"""The paper's tables, computed anew: `basnet reproduce`."""
