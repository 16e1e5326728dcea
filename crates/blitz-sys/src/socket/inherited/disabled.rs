//! Nobody passes sockets on.

use std::io;

use super::Inherited;

pub(super) fn take() -> io::Result<Vec<Inherited>> {
    Ok(Vec::new())
}
