//! What the tests of several areas share. Each area uses some of it, so unused items are no mistake here.
#![allow(dead_code)]

pub(crate) mod merchant;
