//! The series of a measurement: tag sets with small numbers, and their order by group key.
//!
//! Used by appends (tag set to number) and scans (numbers in order, tag values as columns). A number is valid as long as
//! the store is open; files carry tag values, never numbers.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{StringViewArray, StringViewBuilder};
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::name::Name;

/// The number of a series within its measurement.
pub(crate) type SeriesId = u32;

/// A tag set: keys and values, sorted by key.
pub(crate) type Tags = [(Name, Name)];

/// All series of a measurement that have been seen.
#[derive(Default)]
pub(crate) struct SeriesSet {
    tags: Vec<Box<Tags>>,
    places: HashTable<SeriesId>,
    hasher: DefaultHashBuilder,
    order: Option<Arc<SeriesOrder>>,
}

impl SeriesSet {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tags.len()
    }

    /// The tag set of a series.
    pub(crate) fn tags(&self, series: SeriesId) -> &Tags {
        &self.tags[series as usize]
    }

    /// The number of a tag set (sorted by key); a new one gets the next number and is kept as `keep` makes it, with shared
    /// keys.
    pub(crate) fn find_or_add<'a>(
        &mut self,
        tags: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        keep: impl FnOnce() -> Box<Tags>,
    ) -> SeriesId {
        let hash = hash_tags(&self.hasher, tags.clone());
        if let Some(found) = self.places.find(hash, |series| same_tags(&self.tags[*series as usize], tags.clone())) {
            return *found;
        }
        let series = self.tags.len() as SeriesId;
        self.tags.push(keep());
        let (hasher, kept) = (&self.hasher, &self.tags);
        self.places.insert_unique(hash, series, |series| hash_tags(hasher, pairs(&kept[*series as usize])));
        series
    }

    /// The series in the order of their group keys, as they are now.
    pub(crate) fn order(&mut self) -> Arc<SeriesOrder> {
        match &self.order {
            Some(order) if order.sorted.len() == self.tags.len() => Arc::clone(order),
            earlier => {
                let order = Arc::new(SeriesOrder::new(&self.tags, earlier.as_deref()));
                self.order = Some(Arc::clone(&order));
                order
            }
        }
    }
}

fn hash_tags<'a>(hasher: &DefaultHashBuilder, tags: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut state = hasher.build_hasher();
    for (key, value) in tags {
        key.hash(&mut state);
        value.hash(&mut state);
    }
    state.finish()
}

/// The order of group keys (flux-semantics 1.1) as far as tags decide it: at the first difference the *greater* key
/// comes first (its table lacks the smaller one), then the lesser value, then the shorter list.
pub(crate) fn compare_tags<'a>(
    left: impl Iterator<Item = (&'a str, &'a str)>,
    mut right: impl Iterator<Item = (&'a str, &'a str)>,
) -> Ordering {
    for (left_key, left_value) in left {
        let Some((right_key, right_value)) = right.next() else { return Ordering::Greater };
        let by_tag = right_key.cmp(left_key).then_with(|| left_value.cmp(right_value));
        if by_tag.is_ne() {
            return by_tag;
        }
    }
    if right.next().is_some() { Ordering::Less } else { Ordering::Equal }
}

fn same_tags<'a>(kept: &Tags, tags: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut kept = pairs(kept);
    for (key, value) in tags {
        if kept.next() != Some((key, value)) {
            return false;
        }
    }
    kept.next().is_none()
}

/// Keys and values as text.
pub(crate) fn pairs(tags: &Tags) -> impl Iterator<Item = (&str, &str)> + Clone {
    tags.iter().map(|(key, value)| (&**key, &**value))
}

/// A series in order: where its tag values stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderedSeries {
    pub(crate) series: SeriesId,
    /// The group of series with the same tag keys.
    pub(crate) group: u32,
    /// Its row in the group's columns.
    pub(crate) row: u32,
}

/// Series with the same tag keys, one row each, ascending.
#[derive(Debug)]
pub(crate) struct TagGroup {
    /// The tag keys, sorted.
    pub(crate) keys: Arc<[Name]>,
    /// A column of values per key.
    pub(crate) values: Vec<Arc<StringViewArray>>,
}

impl TagGroup {
    /// The tags of a row, sorted by key.
    pub(crate) fn tags(&self, row: u32) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.keys.iter().zip(&self.values).map(move |(key, values)| (&**key, values.value(row as usize)))
    }

    /// The value of a tag in a row.
    pub(crate) fn tag(&self, key: &str, row: u32) -> Option<&str> {
        let place = self.keys.iter().position(|own| &**own == key)?;
        Some(self.values[place].value(row as usize))
    }
}

/// The series of a measurement, ascending by group key.
#[derive(Debug)]
pub(crate) struct SeriesOrder {
    /// The series, ascending.
    pub(crate) sorted: Vec<OrderedSeries>,
    /// Groups by tag keys.
    pub(crate) groups: Vec<TagGroup>,
}

impl SeriesOrder {
    fn new(tags: &[Box<Tags>], earlier: Option<&SeriesOrder>) -> SeriesOrder {
        // Starting from the earlier order makes the sort nearly linear.
        let known = earlier.map_or(0, |order| order.sorted.len());
        let mut ids: Vec<SeriesId> =
            earlier.map(|order| order.sorted.iter().map(|one| one.series).collect()).unwrap_or_default();
        ids.extend(known as SeriesId..tags.len() as SeriesId);
        ids.sort_by(|left, right| compare_tags(pairs(&tags[*left as usize]), pairs(&tags[*right as usize])));

        let mut builders: Vec<(Arc<[Name]>, Vec<StringViewBuilder>, u32)> = Vec::new();
        let mut sorted = Vec::with_capacity(ids.len());
        let mut last = 0;
        for series in ids {
            let own = &tags[series as usize];
            let fits = |keys: &[Name]| keys.len() == own.len() && keys.iter().zip(own).all(|(key, tag)| *key == tag.0);
            if !builders.get(last).is_some_and(|group| fits(&group.0)) {
                last = builders.iter().position(|group| fits(&group.0)).unwrap_or_else(|| {
                    let columns = own.iter().map(|_| StringViewBuilder::new().with_deduplicate_strings()).collect();
                    builders.push((own.iter().map(|tag| tag.0.clone()).collect(), columns, 0));
                    builders.len() - 1
                });
            }
            let (_, columns, rows) = &mut builders[last];
            for (column, (_, value)) in columns.iter_mut().zip(own) {
                column.append_value(&**value);
            }
            sorted.push(OrderedSeries { series, group: last as u32, row: *rows });
            *rows += 1;
        }
        let groups = builders
            .into_iter()
            .map(|(keys, columns, _)| TagGroup {
                keys,
                values: columns.into_iter().map(|mut column| Arc::new(column.finish())).collect(),
            })
            .collect();
        SeriesOrder { sorted, groups }
    }
}
