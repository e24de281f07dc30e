//! What command lines mean.

use super::*;

fn parse_words(line: &[&str]) -> Result<Cli, Parsed> {
    parse(line.iter().map(OsString::from).collect())
}

fn application(line: &[&str]) -> Vec<OsString> {
    match parse_words(line).unwrap().command {
        Command::Run(arguments) => arguments.options.application,
        Command::Local(arguments) => arguments.options.application,
        other => panic!("{other:?}"),
    }
}

fn wrong(line: &[&str]) -> Failure {
    match parse_words(line).unwrap_err() {
        Parsed::Wrong(failure) => failure,
        Parsed::Help(text) => panic!("{text}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn three_forms_of_an_application() {
    let words = ["python", "train.py", "--n=1", "-p", "2"];
    let bare = application(&[&["flexdirect", "run", "-n", "1", "-p", "0.5"], &words[..]].concat());
    let after = application(&[&["flexdirect", "run", "-n", "1", "--"], &words[..]].concat());
    assert_eq!(bare, words);
    assert_eq!(after, words);
    assert_eq!(
        application(&["flexdirect", "run", "-n1", "python a.py -x"]),
        ["python a.py -x"]
    );
}

#[test]
fn separators_of_the_application_are_its_own() {
    let words = ["git", "log", "--", "file"];
    let line = [&["flexdirect", "run", "-n", "1"], &words[..]].concat();
    assert_eq!(application(&line), words);
    let line = [&["flexdirect", "run", "-n", "1", "--"], &words[..]].concat();
    assert_eq!(application(&line), words);
}

#[test]
fn the_old_name_and_the_old_commands_work() {
    assert!(matches!(
        parse_words(&["/usr/bin/bitfusion", "run", "-n", "1", "--", "x"])
            .unwrap()
            .command,
        Command::Run(_)
    ));
    assert!(matches!(
        parse_words(&["bitfusion", "srs_server", "-n", "1"])
            .unwrap()
            .command,
        Command::ResourceScheduler(_)
    ));
    assert!(matches!(
        parse_words(&["flexdirect", "init", "-e", "Yes", "-l", "key"])
            .unwrap()
            .command,
        Command::Init(_)
    ));
    let Err(Parsed::Help(help)) = parse_words(&["bitfusion", "run", "--help"]) else {
        panic!()
    };
    assert!(
        help.contains("bitfusion run") && help.contains("Examples:"),
        "{help}"
    );
}

#[test]
fn mistakes_are_one_line_and_wrong_usage() {
    for line in [
        &["flexdirect"][..],
        &["flexdirect", "fly"],
        &["flexdirect", "run", "true"],
        &["flexdirect", "run", "-n", "x", "true"],
        &["flexdirect", "run", "-n", "1", "--bogus", "true"],
        &["flexdirect", "run", "-n", "1", "-p", "1.5", "true"],
        &["flexdirect", "run", "-n", "1", "-p", "-1", "true"],
        &[
            "flexdirect",
            "run",
            "-n",
            "1",
            "-p",
            "0.5",
            "-m",
            "5",
            "true",
        ],
        &[
            "flexdirect",
            "run",
            "-n",
            "1",
            "--transport",
            "pigeon",
            "true",
        ],
        &["flexdirect", "resource_scheduler", "-n", "1", "-d", "0"],
        &["flexdirect", "resource_scheduler", "-s", "70000"],
        &["flexdirect", "resource_scheduler", "--device", "amd"],
    ] {
        let failure = wrong(line);
        assert_eq!(failure.code, Code::Usage, "{line:?}");
        assert!(
            !failure.text.contains('\n') && !failure.text.starts_with("error"),
            "{failure}"
        );
        assert!(failure.text.contains("flexdirect help"), "{failure}");
    }
}
