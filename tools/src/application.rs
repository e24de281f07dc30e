//! The application on a command line, in the three forms that scripts use.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;

use crate::exit::{Code, Failure};

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Application {
    /// A program and its arguments.
    Program(OsString, Vec<OsString>),
    /// One quoted string, for a shell to split.
    Shell(OsString),
}

impl Application {
    /// Reads the words after the options: a program and its arguments, or one string with white
    /// space, unless that is the path of a program.
    pub(crate) fn new(mut words: Vec<OsString>) -> Result<Self, Failure> {
        if words.is_empty() {
            let text = "no application to run; for example: flexdirect run -n 1 -- python train.py";
            return Err(Failure::new(Code::Usage, text));
        }
        let first = words.remove(0);
        let is_string = words.is_empty() && has_space(&first) && !Path::new(&first).is_file();
        Ok(if is_string {
            Self::Shell(first)
        } else {
            Self::Program(first, words)
        })
    }

    /// The command that runs it.
    pub(crate) fn command(&self) -> Command {
        match self {
            Self::Program(program, arguments) => {
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
            Self::Shell(line) => {
                let mut command = Command::new("/bin/sh");
                command.arg("-c").arg(line);
                command
            }
        }
    }

    /// Why the command could not be started.
    pub(crate) fn not_started(&self, error: &io::Error) -> Failure {
        let name = match self {
            Self::Program(program, _) => program.to_string_lossy(),
            Self::Shell(_) => "/bin/sh".into(),
        };
        match error.kind() {
            io::ErrorKind::NotFound => {
                let text =
                    format!("{name}: not found; check the name, PATH, and a script's first line");
                Failure::new(Code::NotFound, text)
            }
            _ => {
                let text = format!(
                    "{name}: cannot be executed: {error}; check its permissions (chmod +x)"
                );
                Failure::new(Code::NotExecutable, text)
            }
        }
    }
}

impl std::fmt::Display for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shell(line) => f.write_str(&line.to_string_lossy()),
            Self::Program(program, arguments) => {
                f.write_str(&program.to_string_lossy())?;
                arguments
                    .iter()
                    .try_for_each(|word| write!(f, " {}", word.to_string_lossy()))
            }
        }
    }
}

fn has_space(word: &OsStr) -> bool {
    word.as_encoded_bytes().iter().any(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(words: &[&str]) -> Application {
        Application::new(words.iter().map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn words_are_a_program_and_a_string_is_for_a_shell() {
        let words = application(&["python", "a b.py", "--n=1"]);
        assert_eq!(
            words,
            Application::Program("python".into(), vec!["a b.py".into(), "--n=1".into()])
        );
        assert_eq!(
            application(&["bash"]),
            Application::Program("bash".into(), Vec::new())
        );
        assert_eq!(
            application(&["python a.py"]),
            Application::Shell("python a.py".into())
        );
        assert_eq!(
            application(&["python a.py"]).command().get_program(),
            "/bin/sh"
        );
    }

    #[test]
    fn a_program_with_a_space_in_its_path_is_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my program");
        std::fs::write(&path, "").unwrap();
        let words = application(&[path.to_str().unwrap()]);
        assert_eq!(words, Application::Program(path.into(), Vec::new()));
    }

    #[test]
    fn no_application_is_wrong_usage() {
        assert_eq!(Application::new(Vec::new()).unwrap_err().code, Code::Usage);
    }

    #[test]
    fn codes_are_those_of_env() {
        let words = application(&["x"]);
        let of = |kind: io::ErrorKind| words.not_started(&kind.into()).code;
        assert_eq!(of(io::ErrorKind::NotFound), Code::NotFound);
        assert_eq!(of(io::ErrorKind::PermissionDenied), Code::NotExecutable);
    }
}
