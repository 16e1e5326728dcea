//! The guest's file system: an archive of the kind `newc`, which the kernel unpacks into memory.

/// What a file is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Folder,
    Program,
    Text,
}

impl Kind {
    fn mode(self) -> u32 {
        match self {
            Kind::Folder => 0o040_755,
            Kind::Program => 0o100_755,
            Kind::Text => 0o100_644,
        }
    }
}

/// An archive that grows by one file after the other.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    pub(crate) fn folder(&mut self, name: &str) {
        self.add(name, Kind::Folder, &[]);
    }

    pub(crate) fn program(&mut self, name: &str, content: &[u8]) {
        self.add(name, Kind::Program, content);
    }

    pub(crate) fn text(&mut self, name: &str, content: &str) {
        self.add(name, Kind::Text, content.as_bytes());
    }

    /// The archive, closed by the name that ends one.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", Kind::Text, &[]);
        self.bytes
    }

    fn add(&mut self, name: &str, kind: Kind, content: &[u8]) {
        self.inode += 1;
        let size = u32::try_from(content.len()).expect("a test program has less than 4 GiB");
        let links = if matches!(kind, Kind::Folder) { 2 } else { 1 };
        let name_len = u32::try_from(name.len() + 1).expect("a short name");
        // Magic; inode, mode, user, group, links, time, size, device and special device (two each), name, checksum.
        let numbers = [
            self.inode,
            kind.mode(),
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            0,
            0,
            name_len,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for number in numbers {
            self.bytes
                .extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        let len = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_contents_begin_at_multiples_of_four() {
        let mut archive = Archive::default();
        archive.folder("bin");
        archive.program("bin/a", b"12345");
        archive.text("init", "x");
        let bytes = archive.end();
        let text = String::from_utf8_lossy(&bytes);
        let heads: Vec<_> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(heads.len(), 4);
        assert!(heads.iter().all(|at| at % 4 == 0), "{heads:?}");
        let content = text.find("12345").expect("the program's bytes");
        assert_eq!(content % 4, 0);
        assert_eq!(bytes.len() % 4, 0);
        // 6 for the magic, then the second number is the mode.
        assert_eq!(&text[14..22], "000041ed");
    }
}
