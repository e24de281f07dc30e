//! Several PTX texts as one module: what device linking does with the objects of one program.
//!
//! Visible symbols are resolved across the texts by the executor's link step. Symbols that are
//! local to a text may have the same name in another (string constants do), so they get a name of
//! their own first.

use std::collections::{HashMap, HashSet};

use crate::ptx::{Function, Initial, Linkage, Module, Operand, Operands, Statement, Variable};

/// One module of all; a single one is not touched.
pub(crate) fn merge(mut modules: Vec<Module>) -> Module {
    if modules.len() == 1 {
        return modules.remove(0);
    }
    let shared = names_of_several(&modules);
    let mut merged = Module::default();
    for (index, mut module) in modules.into_iter().enumerate() {
        rename_locals(&mut module, index, &shared);
        merged.version = merged.version.max(module.version);
        merged.targets.extend(module.targets);
        merged.variables.extend(module.variables);
        merged.functions.extend(module.functions);
    }
    merged
}

/// Names of module scope that more than one text has.
fn names_of_several(modules: &[Module]) -> HashSet<String> {
    let mut once = HashSet::new();
    let mut several = HashSet::new();
    for module in modules {
        let variables = module.variables.iter().map(|variable| &variable.name);
        let functions = module.functions.iter().map(|function| &function.name);
        let own: HashSet<&String> = variables.chain(functions).collect();
        for name in own {
            if !once.insert(name.clone()) {
                several.insert(name.clone());
            }
        }
    }
    several
}

fn rename_locals(module: &mut Module, index: usize, shared: &HashSet<String>) {
    let variables = module
        .variables
        .iter()
        .filter(|variable| variable.linkage == Linkage::Local)
        .map(|variable| &variable.name);
    let functions = module
        .functions
        .iter()
        .filter(|function| function.linkage == Linkage::Local && !function.is_entry)
        .map(|function| &function.name);
    // No name in a text has this character.
    let names: HashMap<String, String> = variables
        .chain(functions)
        .filter(|name| shared.contains(*name))
        .map(|name| (name.clone(), format!("{name}@{index}")))
        .collect();
    if names.is_empty() {
        return;
    }
    for variable in &mut module.variables {
        rename_variable(variable, &names);
    }
    for function in &mut module.functions {
        rename_function(function, &names);
    }
}

fn rename(name: &mut String, names: &HashMap<String, String>) {
    if let Some(new) = names.get(name) {
        name.clone_from(new);
    }
}

fn rename_variable(variable: &mut Variable, names: &HashMap<String, String>) {
    rename(&mut variable.name, names);
    for initial in &mut variable.initial {
        if let Initial::Address { symbol, .. } = initial {
            rename(symbol, names);
        }
    }
}

fn rename_function(function: &mut Function, names: &HashMap<String, String>) {
    if !function.is_entry {
        rename(&mut function.name, names);
    }
    for statement in function.body.iter_mut().flatten() {
        rename_statement(statement, names);
    }
}

/// Renames uses. A variable of function scope of the same name is renamed with its uses.
fn rename_statement(statement: &mut Statement, names: &HashMap<String, String>) {
    match statement {
        Statement::Block(statements) => {
            for statement in statements {
                rename_statement(statement, names);
            }
        }
        Statement::Variable(variable) => rename_variable(variable, names),
        Statement::Targets { targets, .. } => {
            for target in targets {
                rename(target, names);
            }
        }
        Statement::Instruction(instruction) => {
            if let Operands::Parsed(operands) = &mut instruction.operands {
                for operand in operands {
                    rename_operand(operand, names);
                }
            }
        }
        Statement::Label(_) | Statement::Registers(_) | Statement::Prototype { .. } => {}
    }
}

fn rename_operand(operand: &mut Operand, names: &HashMap<String, String>) {
    match operand {
        Operand::Name { name, .. } => rename(name, names),
        Operand::Vector(parts) | Operand::List(parts) => {
            for part in parts {
                rename_operand(part, names);
            }
        }
        Operand::Address { base, rest } => {
            rename_operand(base, names);
            for part in rest {
                rename_operand(part, names);
            }
        }
        Operand::Pair(first, second) => {
            rename_operand(first, names);
            rename_operand(second, names);
        }
        Operand::Not(inner) | Operand::Minus(inner) => rename_operand(inner, names),
        Operand::Integer(_) | Operand::Single(_) | Operand::Double(_) | Operand::Sink => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Program;
    use crate::ptx::parse;

    const FIRST: &str = ".version 7.0\n.target sm_80\n.address_size 64\n\
        .extern .func (.param .b32 r) shared_function ();\n\
        .global .align 1 .b8 $str[2] = {65, 0};\n\
        .visible .global .align 8 .u64 first[1] = {$str};\n\
        .visible .entry kernel() { .reg .u64 %rd1; mov.u64 %rd1, $str; ret; }\n";
    const SECOND: &str = ".version 7.0\n.target sm_80\n.address_size 64\n\
        .global .align 1 .b8 $str[3] = {66, 67, 0};\n\
        .visible .global .align 8 .u64 second[1] = {$str};\n\
        .visible .func (.param .b32 r) shared_function () { ret; }\n";

    #[test]
    fn locals_of_two_texts_stay_apart() {
        let merged = merge(vec![parse(FIRST).unwrap(), parse(SECOND).unwrap()]);
        let program = Program::link(&merged).unwrap();
        let target = |name: &str| {
            let mut globals = program.globals().iter();
            let global = globals.find(|global| global.name == name).unwrap();
            global.relocations[0].symbol.clone()
        };
        assert_eq!(target("first"), "$str@0");
        assert_eq!(target("second"), "$str@1");
        let kernel = program.kernel("kernel").unwrap();
        assert!(kernel.is_ok(), "{kernel:?}");
    }

    #[test]
    fn a_single_text_keeps_its_names() {
        let module = merge(vec![parse(SECOND).unwrap()]);
        assert!(
            module
                .variables
                .iter()
                .any(|variable| variable.name == "$str")
        );
    }
}
