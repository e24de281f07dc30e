//! What a link still lacks: names that are used, declared and nowhere defined.
//!
//! What was added by name counts as a whole. Of what came out of a library only that counts which
//! the rest can reach: libcudadevrt refers to a driver's internals in functions that nobody calls.

use std::collections::{HashMap, HashSet};

use super::Text;
use crate::exec::is_built_in;
use crate::ptx::{
    Function, Initial, Linkage, Module, Operand, Operands, Space, Statement, Variable,
};

/// Names that other texts can use.
pub(super) fn definitions(module: &Module) -> impl Iterator<Item = &str> {
    let functions = module.functions.iter().filter(|function| {
        function.body.is_some() && function.linkage != Linkage::Local && !function.is_entry
    });
    let variables = module
        .variables
        .iter()
        .filter(|variable| !matches!(variable.linkage, Linkage::Local | Linkage::Extern));
    let functions = functions.map(|function| function.name.as_str());
    functions.chain(variables.map(|variable| variable.name.as_str()))
}

/// Names that are used, declared and nowhere defined, sorted.
pub(super) fn missing(texts: &[Text]) -> Vec<String> {
    let mut defined = HashMap::new();
    for (index, text) in texts.iter().enumerate() {
        for name in definitions(&text.module) {
            defined.entry(name).or_insert(index);
        }
    }
    let known: Vec<Names<'_>> = texts.iter().map(|text| Names::of(&text.module)).collect();
    let mut reach = Reach::default();
    for (index, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_member) {
        for function in &text.module.functions {
            uses(function, &mut |name| reach.add(index, name));
        }
        for variable in &text.module.variables {
            initial_uses(variable, &mut |name| reach.add(index, name));
        }
    }
    let mut missing = Vec::new();
    while let Some((index, name)) = reach.wanted.pop() {
        let name = name.as_str();
        if known[index].declared.contains(name) {
            match defined.get(name) {
                Some(&other) => reach.add(other, name),
                None if is_built_in(name) => {}
                None => missing.push(name.to_owned()),
            }
            continue;
        }
        if !texts[index].is_member {
            // All that it uses was counted from the start.
            continue;
        }
        for function in known[index].functions.get(name).into_iter().flatten() {
            uses(function, &mut |name| reach.add(index, name));
        }
        if let Some(variable) = known[index].variables.get(name) {
            initial_uses(variable, &mut |name| reach.add(index, name));
        }
    }
    missing.sort();
    missing.dedup();
    missing
}

/// Names that were met, each with the number of the text that uses it.
#[derive(Default)]
struct Reach {
    seen: HashSet<(usize, String)>,
    wanted: Vec<(usize, String)>,
}

impl Reach {
    fn add(&mut self, index: usize, name: &str) {
        // Registers are no symbols, and are most of what instructions name.
        if name.starts_with('%') {
            return;
        }
        let item = (index, name.to_owned());
        if self.seen.insert(item.clone()) {
            self.wanted.push(item);
        }
    }
}

/// What the names of one text mean in it.
struct Names<'m> {
    declared: HashSet<&'m str>,
    functions: HashMap<&'m str, Vec<&'m Function>>,
    variables: HashMap<&'m str, &'m Variable>,
}

impl<'m> Names<'m> {
    fn of(module: &'m Module) -> Self {
        let mut functions: HashMap<&str, Vec<&Function>> = HashMap::new();
        for function in &module.functions {
            functions.entry(&function.name).or_default().push(function);
        }
        let variables = module.variables.iter();
        Self {
            declared: declarations(module).collect(),
            functions,
            variables: variables.map(|one| (one.name.as_str(), one)).collect(),
        }
    }
}

fn initial_uses(variable: &Variable, found: &mut impl FnMut(&str)) {
    for part in &variable.initial {
        if let Initial::Address { symbol, .. } = part {
            found(symbol);
        }
    }
}

/// Names that a text says are defined elsewhere. Shared arrays without a size are not: every
/// launch brings their memory.
fn declarations(module: &Module) -> impl Iterator<Item = &str> {
    let functions = module.functions.iter().filter(|function| {
        let own = |other: &&Function| other.name == function.name && other.body.is_some();
        function.body.is_none() && !module.functions.iter().any(|other| own(&other))
    });
    let variables = module.variables.iter().filter(|variable| {
        variable.linkage == Linkage::Extern
            && matches!(variable.space, Space::Global | Space::Const)
    });
    let functions = functions.map(|function| function.name.as_str());
    functions.chain(variables.map(|variable| variable.name.as_str()))
}

fn uses(function: &Function, found: &mut impl FnMut(&str)) {
    let mut blocks: Vec<&[Statement]> = function.body.iter().map(Vec::as_slice).collect();
    while let Some(statements) = blocks.pop() {
        for statement in statements {
            match statement {
                Statement::Block(inner) => blocks.push(inner),
                Statement::Instruction(instruction) => {
                    if let Operands::Parsed(operands) = &instruction.operands {
                        operand_uses(operands, found);
                    }
                }
                Statement::Targets { targets, .. } => {
                    targets.iter().for_each(|target| found(target));
                }
                _ => {}
            }
        }
    }
}

fn operand_uses(operands: &[Operand], found: &mut impl FnMut(&str)) {
    // Operands nest as deep as the parser lets them.
    let mut rest: Vec<&Operand> = operands.iter().collect();
    while let Some(operand) = rest.pop() {
        match operand {
            Operand::Name { name, .. } => found(name),
            Operand::Vector(parts) | Operand::List(parts) => rest.extend(parts),
            Operand::Address { base, rest: others } => {
                rest.push(base);
                rest.extend(others);
            }
            Operand::Pair(first, second) => rest.extend([&**first, &**second]),
            Operand::Not(inner) | Operand::Minus(inner) => rest.push(inner),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ptx;

    const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

    fn text(body: &str, is_member: bool) -> Text {
        let bytes = format!("{HEAD}{body}").into_bytes();
        let module = ptx::parse(&String::from_utf8_lossy(&bytes)).unwrap();
        Text {
            bytes,
            module,
            is_member,
        }
    }

    const MEMBER: &str = ".extern .func lost();
.extern .func lost_in_a_table();
.visible .func good() { ret; }
.visible .func bad() { call lost; ret; }
.visible .func worse() { call bad; ret; }
.visible .global .u64 table[1] = {lost_in_a_table};
.visible .func last() { .reg .u64 %r; mov.u64 %r, table; ret; }";

    /// What is missing when the function is called.
    fn missing_for(called: &str) -> Vec<String> {
        let program = format!(".extern .func {called}();\n.entry run() {{ call {called}; ret; }}");
        missing(&[text(&program, false), text(MEMBER, true)])
    }

    #[test]
    fn what_nobody_reaches_of_a_library_is_not_missed() {
        assert_eq!(missing_for("good"), Vec::<String>::new());
        assert_eq!(missing_for("bad"), ["lost"]);
        assert_eq!(missing_for("worse"), ["lost"]);
        assert_eq!(missing_for("last"), ["lost_in_a_table"]);
        assert_eq!(missing_for("nowhere"), ["nowhere"]);
        assert_eq!(missing_for("malloc"), Vec::<String>::new());
        let added = missing(&[text(MEMBER, false)]);
        assert_eq!(added, ["lost", "lost_in_a_table"]);
    }
}
