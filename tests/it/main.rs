//! What holds for the whole program, seen from outside of its modules.

mod bad_files;
mod plans;
