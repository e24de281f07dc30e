//! `docs/coverage.md` is derived from the table, and stays so.

#![allow(clippy::unwrap_used)]

use std::fs;

use flexdirect_conformance::harness::{Child, Ended, PATIENCE, World, flexdirect, root};

#[test]
fn the_page_is_what_the_command_prints() {
    let world = World::new(64);
    let mut command = world.command(flexdirect());
    command.args(["coverage", "--markdown"]);
    let outcome = Child::start(command).finish(PATIENCE);
    assert_eq!(outcome.ended, Ended::Exited(0), "{outcome:?}");
    let page = fs::read_to_string(root().join("docs/coverage.md")).unwrap_or_default();
    let derived = outcome.text();
    let differs = page
        .lines()
        .zip(derived.lines())
        .find(|(page, derived)| page != derived);
    assert!(
        page == derived,
        "first difference: {differs:?}\n\
         run `stage/bin/flexdirect coverage --markdown > docs/coverage.md`"
    );
}
