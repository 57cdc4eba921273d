//! The files that a configuration names, and what tells that one of them changed.
//!
//! What counts is a file's **content**: a Kubernetes `..data` swap, an editor's rename or a network file
//! system change no inode or time that could be relied on.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Longest file that is read, in bytes: a wrong path such as `/dev/zero` must not fill the memory.
const LONGEST: u64 = 4 << 20;

/// The SHA-256 over all files' names and contents.
pub type Fingerprint = [u8; 32];

/// Reads files relative to the configuration's folder, and remembers which.
pub(super) struct Files {
    folder: PathBuf,
    read: RefCell<Vec<PathBuf>>,
}

impl Files {
    pub(super) fn new(config: &Path) -> Self {
        let folder = config.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Self { folder, read: RefCell::default() }
    }

    /// Reads one file and remembers it.
    ///
    /// # Errors
    /// What the operating system says, in words for the person who wrote the path.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.folder.join(path);
        self.read.borrow_mut().push(path.clone());
        read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    }

    /// All files that were read.
    pub(super) fn into_paths(self) -> Vec<PathBuf> {
        self.read.into_inner()
    }
}

/// Reads a whole file of bounded length.
///
/// # Errors
/// What the operating system says, or that the file is too long.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 4 MiB"));
    }
    Ok(content)
}

/// The fingerprint of these files as they are now. A file that cannot be read counts as its error.
pub fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    let mut hash = Sha256::new();
    for path in paths {
        match read(path) {
            Ok(content) => hash.update(Sha256::digest(content)),
            Err(error) => hash.update(format!("{:?}", error.kind())),
        }
        hash.update([0]);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let paths = [path.clone()];
        let gone = fingerprint(&paths);
        std::fs::write(&path, "one").unwrap();
        let one = fingerprint(&paths);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(fingerprint(&paths), one);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(fingerprint(&paths), one);
        assert_ne!(gone, one);
    }

    #[test]
    fn an_endless_file_is_refused() {
        assert!(read(Path::new("/dev/zero")).is_err());
    }
}
