//! Identity predicates decided by a scan: once per series, once per field, or per time.
//!
//! Used by `store::scan` alone. A comparison with an absent tag is null and a row is kept on true only, as the filter
//! operator has it; whatever could mean anything else is not taken over.

use crate::table::scan::{Comparison, Literal, Predicate};

/// What a predicate is asked about: a row's identity, as far as it is known where the predicate is decided.
pub(crate) struct Identity<'a> {
    pub(crate) measurement: &'a str,
    pub(crate) field: &'a str,
    pub(crate) tag: &'a dyn Fn(&str) -> Option<&'a str>,
    pub(crate) time_ns: i64,
}

/// The conjuncts of the filters that a scan took, by what they look at.
#[derive(Debug, Default)]
pub(crate) struct IdentityFilter {
    /// The measurement alone: decided once per table, before anything of it is looked at.
    pub(crate) of_measurement: Vec<Predicate>,
    /// Tags, neither field nor time: decided once per series.
    pub(crate) of_series: Vec<Predicate>,
    /// A field, and no tag: decided once per field of a measurement.
    pub(crate) of_field: Vec<Predicate>,
    /// Fields and tags in one condition: decided per series and field.
    pub(crate) of_both: Vec<Predicate>,
    /// The time alone: decided per row.
    pub(crate) of_time: Vec<Predicate>,
}

impl IdentityFilter {
    /// Adds a predicate; returns false, and adds nothing, if it is not decidable here.
    pub(crate) fn add(&mut self, predicate: &Predicate) -> bool {
        let mut conjuncts = Vec::new();
        split(predicate, &mut conjuncts);
        let mut looks = Vec::with_capacity(conjuncts.len());
        for conjunct in &conjuncts {
            let mut at = Looks::default();
            if !at.add(conjunct) || (at.time && (at.field || at.tag || at.measurement)) {
                return false;
            }
            looks.push(at);
        }
        for (conjunct, at) in conjuncts.into_iter().zip(looks) {
            let list = match at {
                Looks { time: true, .. } => &mut self.of_time,
                Looks { field: true, tag: true, .. } => &mut self.of_both,
                Looks { field: true, .. } => &mut self.of_field,
                Looks { tag: true, .. } => &mut self.of_series,
                _ => &mut self.of_measurement,
            };
            list.push(conjunct.clone());
        }
        true
    }
}

/// Whether all predicates are true of an identity.
pub(crate) fn all_hold(predicates: &[Predicate], identity: &Identity<'_>) -> bool {
    predicates.iter().all(|predicate| decide(predicate, identity) == Some(true))
}

/// Whether all predicates, which look at the time alone, are true of a time.
pub(crate) fn all_hold_at(predicates: &[Predicate], time_ns: i64) -> bool {
    predicates.is_empty() || all_hold(predicates, &Identity { measurement: "", field: "", tag: &|_| None, time_ns })
}

fn split<'a>(predicate: &'a Predicate, conjuncts: &mut Vec<&'a Predicate>) {
    match predicate {
        Predicate::And(parts) => parts.iter().for_each(|part| split(part, conjuncts)),
        other => conjuncts.push(other),
    }
}

/// Which parts of an identity a predicate looks at.
#[derive(Clone, Copy, Default)]
struct Looks {
    measurement: bool,
    tag: bool,
    field: bool,
    time: bool,
}

impl Looks {
    /// Notes what a predicate looks at; false if the scan cannot decide it as the operator would.
    fn add(&mut self, predicate: &Predicate) -> bool {
        match predicate {
            Predicate::And(parts) | Predicate::Or(parts) => parts.iter().all(|part| self.add(part)),
            Predicate::Not(inner) => self.add(inner),
            Predicate::Compare { column, literal, .. } => {
                self.add_column(column) && matches!(literal, Literal::Time(_)) == (&**column == "_time")
            }
            Predicate::Matches { column, .. } => self.add_column(column) && &**column != "_time",
            Predicate::Exists(column) => self.add_column(column),
        }
    }

    fn add_column(&mut self, column: &str) -> bool {
        match column {
            // These are no tags, and no part of an identity.
            "_value" | "_start" | "_stop" => return false,
            "_time" => self.time = true,
            "_field" => self.field = true,
            "_measurement" => self.measurement = true,
            _ => self.tag = true,
        }
        true
    }
}

/// True, false or null, as Kleene's logic has it.
fn decide(predicate: &Predicate, identity: &Identity<'_>) -> Option<bool> {
    match predicate {
        Predicate::And(parts) => {
            let mut all = Some(true);
            for part in parts {
                match decide(part, identity) {
                    Some(false) => return Some(false),
                    None => all = None,
                    Some(true) => {}
                }
            }
            all
        }
        Predicate::Or(parts) => {
            let mut any = Some(false);
            for part in parts {
                match decide(part, identity) {
                    Some(true) => return Some(true),
                    None => any = None,
                    Some(false) => {}
                }
            }
            any
        }
        Predicate::Not(inner) => decide(inner, identity).map(|value| !value),
        Predicate::Compare { comparison, literal: Literal::Time(right), .. } => {
            Some(compare(*comparison, &identity.time_ns, right))
        }
        Predicate::Compare { column, comparison, literal: Literal::String(right) } => {
            text(column, identity).map(|left| compare(*comparison, left, &**right))
        }
        Predicate::Matches { column, pattern } => text(column, identity).map(|value| pattern.is_match(value)),
        Predicate::Exists(column) => Some(&**column == "_time" || text(column, identity).is_some()),
    }
}

fn text<'a>(column: &str, identity: &Identity<'a>) -> Option<&'a str> {
    match column {
        "_measurement" => Some(identity.measurement),
        "_field" => Some(identity.field),
        tag => (identity.tag)(tag),
    }
}

fn compare<T: Ord + ?Sized>(comparison: Comparison, left: &T, right: &T) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => left < right,
        Comparison::LessEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterEqual => left >= right,
    }
}
