//! The real binary as a child process, with what it prints kept in files.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::scratch::Scratch;
use super::wait;

/// A running `livegate`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `livegate ARGS`; what it prints goes to `NAME.out` and `NAME.err` in the scratch folder.
    pub(crate) fn livegate<A: AsRef<OsStr>>(
        scratch: &Scratch,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::through("env", scratch, name, args, None)
    }

    /// The same through a command that becomes it in the end, as `prlimit --nofile=64` does, and with this value of `RUST_LOG`.
    pub(crate) fn through<A: AsRef<OsStr>>(
        command: &str,
        scratch: &Scratch,
        name: &str,
        args: impl IntoIterator<Item = A>,
        log: Option<&str>,
    ) -> Self {
        let stdout = scratch.path(format!("{name}.out"));
        let stderr = scratch.path(format!("{name}.err"));
        let mut words = command.split_whitespace();
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg(env!("CARGO_BIN_EXE_livegate"))
            .args(args)
            .env_remove("RUST_LOG")
            .envs(log.map(|log| ("RUST_LOG", log)))
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Self { child, stdout, stderr }
    }

    /// What it has printed on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap()).into_owned()
    }

    /// What it has printed on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// Waits for something that it does; fails with what it printed if it ends before, or never does it.
    pub(crate) fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Option<T>) -> T {
        let mut ended = None;
        let answer = wait::until(|| {
            // asked once more after the end, for what was printed last
            let last = ended.is_some();
            let answer = ask(self);
            if answer.is_some() || last {
                return Some(answer);
            }
            ended = self.child.try_wait().unwrap();
            None
        });
        answer.flatten().unwrap_or_else(|| {
            panic!(
                "livegate: no {what} (ended: {ended:?})\n--- stdout\n{}\n--- stderr\n{}",
                self.stdout(),
                self.stderr()
            )
        })
    }

    /// Sends a signal by its short name, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").arg(format!("-{name}")).arg(&id).status();
        assert!(sent.unwrap().success(), "kill -{name} {id}");
        if name == "STOP" {
            // Its threads stop one after the other.
            let stands = || self.threads().all(|state| state == 'T').then_some(());
            wait::until(stands).expect("it stands still");
        }
    }

    /// What each thread is doing, as the system abbreviates it.
    fn threads(&self) -> impl Iterator<Item = char> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        threads.map(|thread| {
            let text = fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            text.rsplit_once(") ").unwrap().1.chars().next().unwrap()
        })
    }

    /// How much memory it holds, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// How many files and sockets it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Waits until it ends by itself.
    pub(crate) fn exit(&mut self) -> ExitStatus {
        wait::until(|| self.child.try_wait().unwrap())
            .unwrap_or_else(|| panic!("livegate did not end\n--- stderr\n{}", self.stderr()))
    }

    /// Asks it to stop with SIGTERM and waits for that.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.exit()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // both fail only if it has ended already
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
