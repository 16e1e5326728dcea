//! The command and the examples, run as a user runs them.

mod bench;
#[cfg(unix)]
mod browser;
mod clients;
#[cfg(unix)]
mod confined;
mod demo;
mod doctor;
mod examples;
#[cfg(unix)]
mod inspect;
mod reverse_proxy;
mod serve;
mod services;
mod web;
