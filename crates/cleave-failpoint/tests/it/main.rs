//! Failpoints as tests use them: from inside, and from outside on a process of their own.

#![cfg(test)]
#![cfg(debug_assertions)]

mod inside;
mod outside;
