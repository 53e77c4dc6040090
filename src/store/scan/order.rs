//! The order of a scan's tables: ascending by group key (flux-semantics 1.1, "Key ordering").
//!
//! Used when a scan starts. The key's labels are compared in byte order, so a tag whose key sorts before `_field` decides
//! before the field does, and one between `_field` and `_measurement` before the measurement.

use super::super::series::{SeriesOrder, compare_tags};
use super::table_plan::TablePlan;

/// One table that a scan may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Output {
    /// The measurement: a place in the plans.
    pub(super) table: u32,
    /// The series: a place in its plan.
    pub(super) series: u32,
    /// Long: the field, a place in its plan. Wide: the set of present fields.
    pub(super) of: u32,
}

/// The tags that decide before others.
#[derive(Clone, Copy)]
pub(super) struct Span {
    after: &'static str,
    before: &'static str,
}

impl Span {
    fn contains(self, key: &str) -> bool {
        self.after < key && key < self.before
    }
}

/// Tags that decide before the field.
pub(super) const BEFORE_FIELD: Span = Span { after: "", before: "_field" };
/// Tags that decide before the measurement, after the field.
pub(super) const BETWEEN: Span = Span { after: "_field", before: "_measurement" };
/// Tags that decide before the measurement where there is no field in the key.
pub(super) const BEFORE_MEASUREMENT: Span = Span { after: "", before: "_measurement" };

/// Whether series of these orders have a tag within a span.
pub(super) fn decides<'a>(mut orders: impl Iterator<Item = &'a SeriesOrder>, span: Span) -> bool {
    orders.any(|order| order.groups.iter().flat_map(|group| group.keys.iter()).any(|key| span.contains(key)))
}

/// The rank of every series of every plan by its tags within a span; `None` when no series has such a tag.
pub(super) fn ranks(plans: &[TablePlan], span: Span) -> Option<Vec<Vec<u32>>> {
    if !decides(plans.iter().map(|plan| &*plan.order), span) {
        return None;
    }
    let mut all: Vec<(u32, u32)> = Vec::new();
    for (table, plan) in plans.iter().enumerate() {
        all.extend((0..plan.series.len() as u32).map(|series| (table as u32, series)));
    }
    let tags = |(table, series): (u32, u32)| {
        let plan = &plans[table as usize];
        plan.tags(&plan.series[series as usize]).filter(|(key, _)| span.contains(key))
    };
    all.sort_by(|left, right| compare_tags(tags(*left), tags(*right)));
    let mut ranks: Vec<Vec<u32>> = plans.iter().map(|plan| vec![0; plan.series.len()]).collect();
    let mut rank = 0;
    for (place, at) in all.iter().enumerate() {
        if place > 0 && compare_tags(tags(all[place - 1]), tags(*at)).is_ne() {
            rank += 1;
        }
        ranks[at.0 as usize][at.1 as usize] = rank;
    }
    Some(ranks)
}
