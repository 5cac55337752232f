//! Keys in merchants' files, through the program.
