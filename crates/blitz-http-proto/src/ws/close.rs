//! Why a connection ends (RFC 6455 §7.4).

/// The number that says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// All is done.
    pub const NORMAL: Self = Self(1000);
    /// The server shuts down, or the page was left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The other broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// A kind of message that is not taken.
    pub const UNSUPPORTED: Self = Self(1003);
    /// What was said to be text is none, or what was said to be compressed is not.
    pub const INVALID: Self = Self(1007);
    /// It breaks a rule of the application.
    pub const POLICY: Self = Self(1008);
    /// A message that is larger than allowed.
    pub const TOO_BIG: Self = Self(1009);
    /// Something failed that should not.
    pub const INTERNAL: Self = Self(1011);
    /// Come again later.
    pub const TRY_AGAIN: Self = Self(1013);

    /// The code of this number, if one may be sent: 1000 to 1003, 1007 to 1014, and 3000 to 4999.
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}
