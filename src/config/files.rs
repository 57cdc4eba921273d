//! The files that a configuration names, and what tells that one of them changed.
//!
//! What counts is a file's **content**: a Kubernetes `..data` swap, an editor's rename or a network file
//! system change no inode or time that could be relied on.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Longest file that is read, in bytes: a wrong path such as `/dev/zero` must not fill the memory.
const LONGEST: u64 = 4 << 20;

/// The files that were read, and what they held then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched(Vec<(PathBuf, Content)>);

/// What a file held: the SHA-256 of it, or why there was none.
type Content = Result<[u8; 32], io::ErrorKind>;

impl Watched {
    /// What is in the files now.
    pub fn look(&self) -> Self {
        let look = |(path, _): &(PathBuf, Content)| (path.clone(), content(&read(path)));
        Self(self.0.iter().map(look).collect())
    }

    /// Whether each file that both looked at held the same both times.
    pub fn agrees(&self, other: &Self) -> bool {
        let differs = |(path, content): &(PathBuf, Content)| {
            other.0.iter().any(|(other, then)| other == path && then != content)
        };
        !self.0.iter().any(differs)
    }

    /// Both.
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }
}

/// Reads files relative to the configuration's folder, and remembers what it saw.
#[derive(Default)]
pub(super) struct Files {
    folder: PathBuf,
    seen: RefCell<Watched>,
}

impl Files {
    /// Relative to the folder of this file.
    pub(super) fn new(config: &Path) -> Self {
        let folder = config.parent().unwrap_or_else(|| Path::new("")).to_owned();
        Self { folder, seen: RefCell::default() }
    }

    /// Reads one file and remembers it.
    ///
    /// # Errors
    /// What the operating system says. The path is not repeated: in a mistaken configuration it may be
    /// a key.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> Result<Zeroizing<Vec<u8>>, String> {
        let path = self.folder.join(path);
        let read = read(&path);
        self.seen.borrow_mut().0.push((path, content(&read)));
        read.map_err(|error| format!("the file named here cannot be read: {error}"))
    }

    /// Where a file of this name is.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// All that was seen.
    pub(super) fn into_watched(self) -> Watched {
        self.seen.into_inner()
    }
}

fn content(read: &io::Result<Zeroizing<Vec<u8>>>) -> Content {
    match read {
        Ok(content) => Ok(Sha256::digest(content.as_slice()).into()),
        Err(error) => Err(error.kind()),
    }
}

/// Reads a whole file of bounded length. What is no regular file could be endless, or never begin.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // With room for all of it, so that no copies are left behind as it grows.
    let room = usize::try_from(about.len().min(LONGEST) + 1).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 4 MiB"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let seen = || {
            let files = Files::new(&folder.path().join("livegate.toml"));
            drop(files.read("key"));
            files.into_watched()
        };
        let gone = seen();
        assert_eq!(gone.look(), gone);
        std::fs::write(&path, "one").unwrap();
        let one = seen();
        assert!(gone.look() != gone && one.look() == one);
        std::fs::write(&path, "one").unwrap();
        assert_eq!(one.look(), one);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(one.look(), one);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(read(Path::new("/dev/zero")).is_err());
        assert!(read(Path::new("/")).is_err());
    }
}
