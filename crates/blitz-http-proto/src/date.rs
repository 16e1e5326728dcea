//! The `Date` field (RFC 9110 §5.6.7): a moment as 29 bytes.

use std::fmt;

/// A moment as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// The time comes from the caller, in seconds since 1970: nothing here asks a clock.
///
/// ```
/// let date = blitz_http_proto::HttpDate::from_unix(784_111_777);
/// assert_eq!(date.as_str(), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

/// The last second of the year 9999, after which four digits do not do.
const LAST: u64 = 253_402_300_799;

impl HttpDate {
    /// The moment so many seconds after the beginning of 1970, in UTC; the end of 9999 for all that come later.
    pub fn from_unix(seconds: u64) -> HttpDate {
        let seconds = seconds.min(LAST);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let weekday = b"ThuFriSatSunMonTueWed";
        let months = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        // Years that begin in March have their odd day at the end, and eras of 400 of them are of one length.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = (shifted_month + 2) % 12;
        let year = era * 400 + year_of_era + u64::from(month < 2);

        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        let at = (days % 7 * 3) as usize;
        text[0..3].copy_from_slice(&weekday[at..at + 3]);
        let at = (month * 3) as usize;
        text[8..11].copy_from_slice(&months[at..at + 3]);
        two(&mut text[5..7], day);
        two(&mut text[12..14], year / 100);
        two(&mut text[14..16], year % 100);
        two(&mut text[17..19], second / 3600);
        two(&mut text[20..22], second / 60 % 60);
        two(&mut text[23..25], second % 60);
        HttpDate(text)
    }

    /// The 29 characters.
    pub fn as_str(&self) -> &str {
        // All of them were written above.
        std::str::from_utf8(&self.0).expect("a date is ASCII")
    }

    /// The 29 characters as bytes.
    pub fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}

fn two(at: &mut [u8], number: u64) {
    at[0] = b'0' + (number / 10 % 10) as u8;
    at[1] = b'0' + (number % 10) as u8;
}

impl fmt::Debug for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let of = |seconds| HttpDate::from_unix(seconds).as_str().to_owned();
        assert_eq!(of(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(of(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(of(951_868_799), "Tue, 29 Feb 2000 23:59:59 GMT");
        assert_eq!(of(1_735_689_599), "Tue, 31 Dec 2024 23:59:59 GMT");
        assert_eq!(of(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(of(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
