//! What threads do together: barriers, shuffles, votes, matches, reductions.

use super::super::code::{
    Barrier, BarrierKind, Op, Predicate, ScalarFunction, Source, Target, WarpSync, WarpSyncKind,
};
use super::super::float::{maximum, minimum};
use super::flow::One;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType};

impl Builder<'_> {
    /// Decodes `one` if threads do it together; false if it is something else.
    pub(super) fn sync(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        match one.opcode {
            "bar" | "barrier" if one.has("warp") => {
                let members = self.source(frame, one.operand(0)?, ScalarType::B32, one.line)?;
                self.warp(
                    one,
                    WarpSyncKind::Barrier,
                    members,
                    [Target::Nothing; 2],
                    Vec::new(),
                );
            }
            "bar" | "barrier" if one.has("cluster") => {
                // A cluster is one block here, so its barrier is the block's; arriving alone and
                // waiting later is not.
                if !one.has("wait") && !one.has("arrive") {
                    return Err("this form of a cluster barrier".to_owned());
                }
                let id = Source::Word(self.word_constant(0));
                let kind = BarrierKind::Sync;
                if one.has("wait") {
                    self.push(
                        one,
                        Op::Barrier(Box::new(Barrier {
                            id,
                            count: None,
                            kind,
                        })),
                    );
                }
            }
            "bar" | "barrier" => self.barrier(frame, one)?,
            "shfl" => self.shuffle(frame, one)?,
            "vote" => self.vote(frame, one)?,
            "match" => self.matching(frame, one)?,
            "redux" => self.reduction(frame, one)?,
            "activemask" => {
                let target = self.register(frame, one.operand(0)?)?;
                self.push(one, Op::ActiveMask(target.slot()));
            }
            "elect" => {
                let (first, second) = self.two_targets(frame, one.operand(0)?)?;
                let members = self.source(frame, one.operand(1)?, ScalarType::B32, one.line)?;
                self.warp(
                    one,
                    WarpSyncKind::Elect,
                    members,
                    [first, second],
                    Vec::new(),
                );
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn warp(
        &mut self,
        one: &One<'_>,
        kind: WarpSyncKind,
        members: Source,
        [target, second]: [Target; 2],
        sources: Vec<Source>,
    ) {
        let op = WarpSync {
            kind,
            members,
            target,
            second,
            sources,
        };
        self.push(one, Op::WarpSync(Box::new(op)));
    }

    fn barrier(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let reduction = one.has("red");
        let skip = usize::from(reduction);
        let operands = one.operands.get(skip..).unwrap_or_default();
        let mut values = Vec::new();
        for operand in operands {
            if values.len() == 2 || matches!(operand, Operand::Not(_)) {
                break;
            }
            // bar.red's last operand is a predicate, with or without a count before it.
            if reduction && operands.len() - values.len() == 1 {
                break;
            }
            values.push(self.source(frame, operand, ScalarType::U32, one.line)?);
        }
        let id = match values.first() {
            Some(&id) => id,
            None => Source::Word(self.word_constant(0)),
        };
        let count = values.get(1).copied();
        let kind = if reduction {
            let target = self.target(frame, one.operand(0)?)?;
            let last = operands.last().ok_or("a predicate is missing")?;
            let predicate = self.predicate(frame, last)?;
            if one.has("popc") {
                BarrierKind::Count(predicate, target)
            } else if one.has("and") {
                BarrierKind::And(predicate, target)
            } else {
                BarrierKind::Or(predicate, target)
            }
        } else if one.has("arrive") {
            BarrierKind::Arrive
        } else {
            BarrierKind::Sync
        };
        self.push(one, Op::Barrier(Box::new(Barrier { id, count, kind })));
        Ok(())
    }

    /// `d|p`, `d`, or with `_` for one of them.
    fn two_targets(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<(Target, Target)> {
        match operand {
            Operand::Pair(first, second) => {
                Ok((self.target(frame, first)?, self.target(frame, second)?))
            }
            _ => Ok((self.target(frame, operand)?, Target::Nothing)),
        }
    }

    fn shuffle(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let kind = if one.has("up") {
            WarpSyncKind::ShuffleUp
        } else if one.has("down") {
            WarpSyncKind::ShuffleDown
        } else if one.has("bfly") {
            WarpSyncKind::ShuffleButterfly
        } else if one.has("idx") {
            WarpSyncKind::ShuffleIndex
        } else {
            return Err("this form of a shuffle".to_owned());
        };
        let (first, second) = self.two_targets(frame, one.operand(0)?)?;
        let mut sources = Vec::new();
        for index in 1..4 {
            sources.push(self.source(frame, one.operand(index)?, ScalarType::B32, one.line)?);
        }
        let members = if one.has("sync") {
            self.source(frame, one.operand(4)?, ScalarType::B32, one.line)?
        } else {
            // Before sm_70 the lanes that were active took part.
            Source::Predicate(Predicate::Constant(false))
        };
        self.warp(one, kind, members, [first, second], sources);
        Ok(())
    }

    fn vote(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let kind = if one.has("ballot") {
            WarpSyncKind::VoteBallot
        } else if one.has("any") {
            WarpSyncKind::VoteAny
        } else if one.has("uni") {
            WarpSyncKind::VoteUniform
        } else if one.has("all") {
            WarpSyncKind::VoteAll
        } else {
            return Err("this form of a vote".to_owned());
        };
        let target = self.target(frame, one.operand(0)?)?;
        let source = Source::Predicate(self.predicate(frame, one.operand(1)?)?);
        let members = if one.has("sync") {
            self.source(frame, one.operand(2)?, ScalarType::B32, one.line)?
        } else {
            Source::Predicate(Predicate::Constant(false))
        };
        self.warp(one, kind, members, [target, Target::Nothing], vec![source]);
        Ok(())
    }

    fn matching(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let kind = if one.has("all") {
            WarpSyncKind::MatchAll
        } else {
            WarpSyncKind::MatchAny
        };
        let element = one.element().ok_or("no type")?;
        let (first, second) = self.two_targets(frame, one.operand(0)?)?;
        let source = self.source(frame, one.operand(1)?, element, one.line)?;
        let members = self.source(frame, one.operand(2)?, ScalarType::B32, one.line)?;
        self.warp(one, kind, members, [first, second], vec![source]);
        Ok(())
    }

    fn reduction(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<()> {
        let element = one.element().ok_or("no type")?;
        let function: fn(u32, u32) -> u32 = match (one.words.get(1).map(String::as_str), element) {
            (Some("add"), _) => |a, b| a.wrapping_add(b),
            (Some("and"), _) => |a, b| a & b,
            (Some("or"), _) => |a, b| a | b,
            (Some("xor"), _) => |a, b| a ^ b,
            (Some("min"), ScalarType::U32) => |a, b| a.min(b),
            (Some("max"), ScalarType::U32) => |a, b| a.max(b),
            (Some("min"), ScalarType::S32) => |a, b| (a as i32).min(b as i32) as u32,
            (Some("max"), ScalarType::S32) => |a, b| (a as i32).max(b as i32) as u32,
            (Some("min"), ScalarType::F32) if one.has("NaN") => |a, b| or_nan(a, b, minimum),
            (Some("max"), ScalarType::F32) if one.has("NaN") => |a, b| or_nan(a, b, maximum),
            (Some("min"), ScalarType::F32) => minimum,
            (Some("max"), ScalarType::F32) => maximum,
            _ => return Err("no such reduction".to_owned()),
        };
        let target = self.target(frame, one.operand(0)?)?;
        let mut source = self.source(frame, one.operand(1)?, element, one.line)?;
        if one.has("abs") {
            let register = frame.new_register(element)?;
            let absolute: ScalarFunction = |[a, ..], _| [a & 0x7fff_ffff, 0];
            self.scalar(absolute, 0, [register.target()], vec![source], one.line);
            source = register.source();
        }
        let members = self.source(frame, one.operand(2)?, ScalarType::B32, one.line)?;
        let kind = WarpSyncKind::Reduce(function);
        self.warp(one, kind, members, [target, Target::Nothing], vec![source]);
        Ok(())
    }
}

/// `function` of two singles, or the canonical NaN if one of them is NaN.
fn or_nan(a: u32, b: u32, function: fn(u32, u32) -> u32) -> u32 {
    if f32::from_bits(a).is_nan() || f32::from_bits(b).is_nan() {
        0x7fff_ffff
    } else {
        function(a, b)
    }
}
