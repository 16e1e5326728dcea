//! What is sent, and by whom.

use bytes::Bytes;

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads frames with masks, and sends them without.
    Server,
    /// Sends frames with masks, and reads them without.
    Client,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    is_text: bool,
    payload: Bytes,
}

impl Message {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            is_text: true,
            payload: Bytes::from(text.into()),
        }
    }

    /// Bytes.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self {
            is_text: false,
            payload: payload.into(),
        }
    }

    /// What was checked while it came.
    pub(super) fn received(is_text: bool, payload: Bytes) -> Self {
        Self { is_text, payload }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        // What is marked as text was made from one, or was checked when it came.
        self.is_text
            .then(|| simdutf8::basic::from_utf8(&self.payload).ok())?
    }

    /// Whether it is a text.
    pub fn is_text(&self) -> bool {
        self.is_text
    }

    /// The bytes, of a text too.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The bytes, of a text too.
    pub fn into_payload(self) -> Bytes {
        self.payload
    }
}
