//! Profile `engine`: the engines' own block hashes, reproduced.
