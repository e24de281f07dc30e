//! The tree's own rules: what a reader may rely on without looking.
//!
//! Line, function and file lengths; which modules may be unsafe; how much is written by hand; op
//! codes that never change; nothing of one machine.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flexdirect_conformance::harness::root;
use flexdirect_wire::call::{CALLS, Class};

/// Columns of a line, as rustfmt is told.
const LINE_LEN_MAX: usize = 100;
/// Lines of a file: one topic each.
const FILE_LEN_MAX: usize = 500;
/// Lines of a function.
const FUNCTION_LEN_MAX: usize = 70;
/// Tables are as long as what they list.
const TABLES: &[&str] = &["wire/src/driver.rs"];

/// Calls with code of their own on at least one side. Everything else is derived from the table: a
/// change of this number is a decision, not an accident.
const BY_HAND: usize = 346;

/// Topics written by hand, and the program of `conformance/programs` that shows each.
const TOPICS: &[(&str, &str)] = &[
    ("array", "arrays"),
    ("attributes", "driver_calls"),
    ("capture", "graph_copies"),
    ("context", "driver_ptx"),
    ("copy", "big_copy"),
    ("event", "streams_events"),
    ("function", "found"),
    ("graph", "graph_copies"),
    ("graph_exec", "graph_copies"),
    ("graph_launch", "graph_copies"),
    ("graph_node", "graph_copies"),
    ("graph_use", "graph_copies"),
    ("guard", "errors"),
    ("hostfn", "host_functions"),
    ("image", "driver_ptx"),
    ("launch", "matmul_tiled"),
    ("link", "found"),
    ("managed", "managed"),
    ("memory", "errors"),
    ("memset", "streams_events"),
    ("module", "driver_ptx"),
    ("peers", "multi_device"),
    ("pool", "pools"),
    ("rows", "rows"),
    ("stream", "threads"),
    ("texture", "objects"),
    ("vmm", "vmm"),
    ("twin", "mapped"),
    ("values", "driver_calls"),
];

#[test]
fn lines_are_short() {
    let mut long = Vec::new();
    for (path, text) in files(&["rs", "cu", "c", "h", "py", "Makefile", "sh", ""]) {
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_LEN_MAX {
                long.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    none(&long, "longer than 100 columns");
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let (mut long, mut silent) = (Vec::new(), Vec::new());
    for (path, text) in files(&["rs", "cu", "c", "h", "py"]) {
        let name = path.to_str().unwrap();
        let lines = text.lines().count();
        if lines > FILE_LEN_MAX && !TABLES.contains(&name) {
            long.push(format!("{name}: {lines} lines"));
        }
        let opens = [
            "//!",
            "// ",
            "# ",
            "#!/usr/bin/env",
            "#![no_main]",
            "#![doc",
        ];
        if !opens.iter().any(|open| text.starts_with(open)) {
            silent.push(name.to_owned());
        }
    }
    none(&long, "too long for one topic");
    none(&silent, "without a first sentence");
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (path, text) in files(&["rs"]) {
        // rustfmt closes a function with a brace at the column where it begins.
        let mut open: Option<(String, usize)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            if let Some((start, begin)) = &open {
                let has_body = text.lines().skip(*begin).take(number - begin + 1);
                let has_body = has_body.map(str::trim_end).any(|line| line.ends_with('{'));
                if !has_body && line.ends_with(';') {
                    open = None;
                } else if line == format!("{start}}}") {
                    let len = number - begin + 1;
                    if len > FUNCTION_LEN_MAX {
                        long.push(format!("{}:{}: {len} lines", path.display(), begin + 1));
                    }
                    open = None;
                }
            } else if is_function(line.trim_start()) && !line.ends_with(['}', ';']) {
                open = Some((indent.to_owned(), number));
            }
        }
    }
    none(&long, "functions over 70 lines");
}

#[test]
fn only_listed_modules_are_unsafe() {
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for (path, text) in files(&["rs"]) {
        // Without white space an attribute reads the same however it was broken into lines.
        let bare: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let bare = bare.replace("( ", "(");
        let mark = concat!("(", "unsafe_code");
        for (at, _) in bare.match_indices(mark) {
            let attribute = &bare[bare[..at].rfind('#').unwrap()..];
            let end = end_of_attribute(attribute);
            let (attribute, rest) = attribute.split_at(end);
            // On anything but a module, it is this file that has to be listed.
            let module = module_after(rest).filter(|_| !attribute.starts_with("#!["));
            let place = module.map_or_else(|| path.clone(), |name| module_path(&path, name));
            let reason = attribute.split('"').nth(1).unwrap_or_default();
            if !attribute.contains("expect(") || reason.is_empty() {
                wrong.push(format!("{}: {attribute}", path.display()));
            }
            found.insert(format!("{}: {reason}", place.display()));
        }
    }
    none(&wrong, "unsafe code is expected, with a reason");
    for (path, text) in files(&["Cargo.toml"]) {
        let held = text.contains("[workspace]") || text.contains("[lints]\nworkspace = true");
        assert!(
            held,
            "{}: without the lints of the workspace",
            path.display()
        );
    }
    let listed = fs::read_to_string(root().join("conformance/unsafe-modules.txt")).unwrap();
    let listed: BTreeSet<&str> = listed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let (new, gone) = (found.difference(&listed), listed.difference(&found));
    let changes: Vec<_> = new.map(|line| format!("+{line}")).collect();
    let gone: Vec<_> = gone.map(|line| format!("-{line}")).collect();
    none(
        &[gone, changes].concat(),
        "changes to conformance/unsafe-modules.txt",
    );
}

#[test]
fn what_is_by_hand_is_counted_and_shown() {
    let by_hand = CALLS.iter().filter(|call| !call.by_hand.is_empty());
    assert_eq!(
        by_hand.clone().count(),
        BY_HAND,
        "calls by hand: state the new number"
    );
    assert!(by_hand.clone().all(|call| call.class != Class::Absent));
    let mut topics = BTreeSet::new();
    for side in ["cuda-shim", "server"] {
        for entry in fs::read_dir(root().join(side).join("src/hand"))
            .into_iter()
            .flatten()
        {
            let path = entry.unwrap().path();
            topics.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    topics.remove("tests");
    let shown: BTreeSet<_> = TOPICS
        .iter()
        .map(|(topic, _)| (*topic).to_owned())
        .collect();
    assert_eq!(topics, shown, "topics under hand/ and those of TOPICS");
    for (topic, program) in TOPICS {
        let source = root().join("conformance/programs").join(program);
        let exists = ["cu", "c"]
            .iter()
            .any(|end| source.with_extension(end).exists());
        assert!(exists, "{topic}: there is no program {program}");
    }
}

#[test]
fn op_codes_never_change() {
    let text = fs::read_to_string(root().join("conformance/op-codes.txt")).unwrap();
    let mut listed = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (code, name) = line.split_once(' ').unwrap();
        let code = u16::from_str_radix(code.trim_start_matches("0x"), 16).unwrap();
        assert_eq!(
            listed.insert(code, name),
            None,
            "{code:#06x} is listed twice"
        );
    }
    let table: BTreeMap<u16, &str> = CALLS.iter().map(|call| (call.op.0, call.name)).collect();
    for (code, name) in &listed {
        assert_eq!(
            table.get(code),
            Some(name),
            "{code:#06x} was {name} and stays so"
        );
    }
    let new = table.iter().filter(|(code, _)| !listed.contains_key(code));
    let new: Vec<_> = new
        .map(|(code, name)| format!("{code:#06x} {name}"))
        .collect();
    none(&new, "lines to be added to conformance/op-codes.txt");
}

#[test]
fn nothing_of_one_machine() {
    // In two halves, so that this file does not find itself.
    let words = [
        ("/wo", "rk/"),
        ("/ho", "me/"),
        ("/ro", "ot/"),
        ("/tm", "p/t"),
    ];
    let mut found = Vec::new();
    for (path, text) in files(&[
        "rs", "cu", "c", "h", "py", "toml", "Makefile", "sh", "", "md",
    ]) {
        for (first, second) in words {
            let word = format!("{first}{second}");
            for (number, line) in text.lines().enumerate() {
                if line.contains(&word) {
                    found.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    none(&found, "paths of one machine");
}

fn none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

fn is_function(line: &str) -> bool {
    let words = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "unsafe",
        "async",
        "extern",
        "\"C\"",
    ];
    line.split(' ').find(|word| !words.contains(word)) == Some("fn")
}

/// Length of an attribute that a text begins with: to the bracket that closes it.
fn end_of_attribute(text: &str) -> usize {
    let (mut depth, mut quoted) = (0_u32, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Name of the module that a text declares, behind further attributes and its visibility.
fn module_after(mut rest: &str) -> Option<&str> {
    rest = rest.trim_start();
    while rest.starts_with('#') {
        rest = rest[end_of_attribute(rest)..].trim_start();
    }
    if rest.starts_with("pub") {
        rest = rest.split_once(' ')?.1;
    }
    let name = rest.strip_prefix("mod ")?;
    name.split([' ', ';']).next()
}

/// File of a module that `parent` declares, relative to the repository; for a module inside of
/// `parent`, `parent` itself.
fn module_path(parent: &Path, module: &str) -> PathBuf {
    let folder = parent.parent().unwrap();
    let stem = parent.file_stem().unwrap().to_str().unwrap();
    let of_its_own = if ["lib", "main", "mod"].contains(&stem) || folder.ends_with("tests") {
        folder.to_owned()
    } else {
        folder.join(stem)
    };
    let file = of_its_own.join(module).with_extension("rs");
    if root().join(&file).exists() {
        file
    } else {
        parent.to_owned()
    }
}

/// Text files of the tree with one of these endings (or names; an empty one stands for none), by
/// path relative to the repository.
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    walk(Path::new(""), endings, &mut found);
    assert!(found.len() > 10, "the tree is not where it is looked for");
    found
}

fn walk(folder: &Path, endings: &[&str], found: &mut Vec<(PathBuf, String)>) {
    let skipped = [
        ".git",
        "target",
        "stage",
        "toolchain",
        "dist",
        "corpus",
        "artifacts",
        "fixtures",
    ];
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = folder.join(&name);
        // In a second work tree of the repository `.git` is a file with a path of the machine.
        if skipped.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            walk(&path, endings, found);
        } else {
            let ending = path
                .extension()
                .map_or("", |ending| ending.to_str().unwrap());
            let wanted = endings.contains(&name.as_str()) || endings.contains(&ending);
            // A file that is no text has no lines.
            if let (true, Ok(text)) = (wanted, fs::read_to_string(root().join(&path))) {
                found.push((path, text));
            }
        }
    }
}
