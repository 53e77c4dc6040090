//! What needs no import.
//!
//! Listed in `functions`; a file per function, a file for families with one body.

pub mod aggregate;
pub mod aggregate_window;
pub mod columns;
pub mod contains;
pub mod convert;
pub mod covariance;
pub mod distinct;
pub mod elapsed;
pub mod fill;
pub mod filter;
pub mod first_last;
pub mod from;
pub mod group;
pub mod histogram;
pub mod hour_selection;
pub mod integral;
pub mod limit;
pub mod map;
pub mod now;
pub mod pivot;
pub mod quantile;
pub mod range;
pub mod reduce;
pub mod sample;
pub mod set;
pub mod sort;
pub mod table_find;
pub mod time_columns;
pub mod timed_moving_average;
pub mod to;
pub mod today;
pub mod top;
pub mod window;
pub mod r#yield;

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::{PRELUDE, Package};
use crate::flux::value::Function;
use crate::functions::timezone;
use crate::time::Duration;

static FROM: Builtin = from::from(PRELUDE);
static TO: Builtin = to::to(PRELUDE);

/// The prelude.
pub fn package() -> Package {
    Package {
        path: PRELUDE,
        builtins: vec![
            &aggregate_window::AGGREGATE_WINDOW,
            &convert::BOOL,
            &top::BOTTOM,
            &convert::BYTES,
            &contains::CONTAINS,
            &aggregate::COUNT,
            &covariance::COVARIANCE,
            &distinct::DISTINCT,
            &columns::DROP,
            &columns::DUPLICATE,
            &convert::DURATION,
            &elapsed::ELAPSED,
            &fill::FILL,
            &filter::FILTER,
            &table_find::FIND_COLUMN,
            &table_find::FIND_RECORD,
            &first_last::FIRST,
            &convert::FLOAT,
            &FROM,
            &table_find::GET_COLUMN,
            &table_find::GET_RECORD,
            &group::GROUP,
            &top::HIGHEST_AVERAGE,
            &top::HIGHEST_CURRENT,
            &top::HIGHEST_MAX,
            &histogram::HISTOGRAM,
            &histogram::HISTOGRAM_QUANTILE,
            &hour_selection::HOUR_SELECTION,
            &convert::INT,
            &integral::INTEGRAL,
            &columns::KEEP,
            &first_last::LAST,
            &contains::LENGTH,
            &limit::LIMIT,
            &histogram::LINEAR_BINS,
            &histogram::LOGARITHMIC_BINS,
            &top::LOWEST_AVERAGE,
            &top::LOWEST_CURRENT,
            &top::LOWEST_MIN,
            &map::MAP,
            &first_last::MAX,
            &aggregate::MEAN,
            &quantile::MEDIAN,
            &first_last::MIN,
            &distinct::MODE,
            &pivot::PIVOT,
            &quantile::QUANTILE,
            &range::RANGE,
            &reduce::REDUCE,
            &columns::RENAME,
            &sample::SAMPLE,
            &set::SET,
            &aggregate::SKEW,
            &sort::SORT,
            &aggregate::SPREAD,
            &aggregate::STDDEV,
            &convert::STRING,
            &aggregate::SUM,
            &table_find::TABLE_FIND,
            &limit::TAIL,
            &convert::TIME,
            &timed_moving_average::TIMED_MOVING_AVERAGE,
            &time_columns::TIME_SHIFT,
            &integral::TIME_WEIGHTED_AVG,
            &TO,
            &today::TODAY,
            &top::TOP,
            &time_columns::TRUNCATE_TIME_COLUMN,
            &convert::UINT,
            &distinct::UNIQUE,
            &window::WINDOW,
            &r#yield::YIELD,
        ],
        constants: vec![
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("inf", Value::Duration(Duration::INFINITE)),
        ],
        options: vec![
            ("now", Value::Function(Function::Builtin(&now::NOW))),
            ("location", timezone::location("UTC", Duration::ZERO)),
        ],
    }
}
