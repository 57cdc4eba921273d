//! What tests run that others publish: Azure's own clients and what drives a browser, each installed once into a folder under
//! `target/sdk` at the versions pinned in `tests`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

/// Something published.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kit {
    PythonBeta1,
    PythonBeta2,
    JsBeta1,
    JsBeta3,
    Browser,
}

impl Kit {
    /// Installs it where that has not been done yet, and gives the command that runs its driver.
    pub(crate) fn driver(self) -> Command {
        let folder = self.installed();
        if self.is_python() {
            let mut command = Command::new(folder.join("bin/python"));
            command.arg(sources().join("sdk/drive.py"));
            return command;
        }
        let mut command = Command::new("node");
        command.arg(folder.join(if matches!(self, Self::Browser) {
            "look.mjs"
        } else {
            "drive.mjs"
        }));
        command
    }

    pub(crate) const fn is_python(self) -> bool {
        matches!(self, Self::PythonBeta1 | Self::PythonBeta2)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::PythonBeta1 => "python-b1",
            Self::PythonBeta2 => "python-b2",
            Self::JsBeta1 => "js-beta1",
            Self::JsBeta3 => "js-beta3",
            Self::Browser => "browser",
        }
    }

    /// The files of `tests` that decide what is installed.
    const fn pins(self) -> &'static [&'static str] {
        match self {
            Self::PythonBeta1 => &["sdk/requirements-b1.txt"],
            Self::PythonBeta2 => &["sdk/requirements-b2.txt"],
            // a module is resolved from where the driver lies, so the driver is installed too
            Self::JsBeta1 => &[
                "sdk/js-beta1/package.json",
                "sdk/js-beta1/package-lock.json",
                "sdk/js-beta1/.npmrc",
                "sdk/drive.mjs",
            ],
            Self::JsBeta3 => &[
                "sdk/js-beta3/package.json",
                "sdk/js-beta3/package-lock.json",
                "sdk/js-beta3/.npmrc",
                "sdk/drive.mjs",
            ],
            Self::Browser => &[
                "browser/package.json",
                "browser/package-lock.json",
                "browser/.npmrc",
                "browser/look.mjs",
            ],
        }
    }

    /// What runs the client.
    const fn tool(self) -> &'static str {
        if self.is_python() { "python3" } else { "node" }
    }

    /// The stamp is written last, so an interrupted install is done again from the start.
    fn installed(self) -> PathBuf {
        let kits = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("sdk");
        fs::create_dir_all(&kits).unwrap();
        // held by one test at a time, whether tests are threads or processes
        let lock = File::create(kits.join(format!("{}.lock", self.name()))).unwrap();
        lock.lock().unwrap();
        let folder = kits.join(self.name());
        let stamp = folder.join("pins.sha256");
        let pins = self.hash();
        if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == pins) {
            return folder;
        }
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        fs::create_dir_all(&folder).unwrap();
        if self.is_python() {
            self.install_python(&folder);
        } else {
            self.install_js(&folder);
        }
        fs::write(&stamp, pins).unwrap();
        folder
    }

    fn install_python(self, folder: &Path) {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        run(Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"])
            .arg("--requirement")
            .arg(sources().join(self.pins()[0])));
    }

    fn install_js(self, folder: &Path) {
        for pin in self.pins() {
            let name = Path::new(pin).file_name().unwrap();
            fs::copy(sources().join(pin), folder.join(name)).unwrap();
        }
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
            .current_dir(folder));
    }

    fn hash(self) -> String {
        // what an environment of Python's holds depends on which Python made it
        let mut hash = Sha256::new_with_prefix(run(Command::new(self.tool()).arg("--version")));
        for pin in self.pins() {
            hash.update(fs::read(sources().join(pin)).unwrap());
        }
        const_hex::encode(hash.finalize())
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Runs a tool to its end and gives what it printed; fails where there is no such tool, or the tool does.
fn run(command: &mut Command) -> Vec<u8> {
    let told = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "{error} on running {told}\nThe tests of Azure's own clients and of the status page need python3 (with venv and pip), \
             node and npm on the PATH."
        )
    });
    assert!(
        output.status.success(),
        "{told}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
