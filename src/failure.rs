//! How commands end.

use std::{fmt, process::ExitCode};

/// Exit codes; part of the interface, listed in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed for another reason than those below.
    Failed = 1,
    /// The command line or the configuration is wrong (clap's code too).
    Usage = 2,
    /// What was asked for does not exist, or not for this caller.
    NotFound = 3,
    /// There is no server or data folder to talk to.
    Unreachable = 4,
    /// A check found something.
    Found = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked, and the code to end with.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: anyhow::Error) -> Self {
        Self { exit, error }
    }

    /// The code to end with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// A wrong command line or configuration.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, anyhow::anyhow!("{text}"))
    }

    /// The same with another code, unless it has a particular one already.
    pub(crate) fn at(mut self, exit: Exit) -> Self {
        if self.exit == Exit::Failed {
            self.exit = exit;
        }
        self
    }

    /// The same with what was being done.
    pub(crate) fn context(mut self, text: &'static str) -> Self {
        self.error = self.error.context(text);
        self
    }

    /// Says it on stderr. A reader that closed our stdout (`| head`) is no failure.
    pub(crate) fn report(self) -> ExitCode {
        let closed = self.error.chain().any(|cause| {
            cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
        });
        if closed {
            return Exit::Done.into();
        }
        eprintln!("jacquemart: {}", told(&self.error));
        self.exit.into()
    }
}

/// The error and its causes; a cause that the text before it has told already is left out.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: Exit::Failed, error: error.into() }
    }
}
