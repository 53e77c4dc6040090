//! What needs no import.
//!
//! Listed in `functions`; a file per function, a file for families with one body.

pub mod aggregate;
pub mod aggregate_window;
pub mod buckets;
pub mod columns;
pub mod contains;
pub mod convert;
pub mod cov;
pub mod covariance;
pub mod derivative;
pub mod describe;
pub mod die;
pub mod difference;
pub mod display;
pub mod distinct;
pub mod elapsed;
pub mod fill;
pub mod filter;
pub mod first_last;
pub mod from;
pub mod group;
pub mod histogram;
pub mod hour_selection;
pub mod indicator;
pub mod integral;
pub mod join;
pub mod limit;
pub mod map;
pub mod moving_average;
pub mod now;
pub mod pivot;
pub mod quantile;
pub mod range;
pub mod reduce;
pub mod sample;
pub mod set;
pub mod sort;
pub mod state_tracking;
pub mod table_find;
pub mod time_columns;
pub mod timed_moving_average;
pub mod to;
pub mod to_type;
pub mod today;
pub mod top;
pub mod union;
pub mod window;
pub mod r#yield;

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::{PRELUDE, Package};
use crate::flux::value::Function;
use crate::functions::timezone;
use crate::time::Duration;

static BUCKETS: Builtin = buckets::buckets(PRELUDE);
static FROM: Builtin = from::from(PRELUDE);
static TO: Builtin = to::to(PRELUDE);
static WIDE_TO: Builtin = to::wide_to(
    PRELUDE,
    "wideTo",
    &["import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _measurement: \"m\", host: \"a\", load: \
     1.5}])\n    |> group(columns: [\"_measurement\", \"host\"])\n    |> wideTo(bucket: \"example\")"],
);

/// The prelude.
pub fn package() -> Package {
    Package {
        path: PRELUDE,
        builtins: vec![
            &aggregate_window::AGGREGATE_WINDOW,
            &convert::BOOL,
            &top::BOTTOM,
            &BUCKETS,
            &convert::BYTES,
            &indicator::CHANDE_MOMENTUM_OSCILLATOR,
            &describe::COLUMNS,
            &contains::CONTAINS,
            &aggregate::COUNT,
            &cov::COV,
            &covariance::COVARIANCE,
            &difference::CUMULATIVE_SUM,
            &derivative::DERIVATIVE,
            &difference::DIFFERENCE,
            &distinct::DISTINCT,
            &indicator::DOUBLE_EMA,
            &die::DIE,
            &display::DISPLAY,
            &columns::DROP,
            &columns::DUPLICATE,
            &convert::DURATION,
            &elapsed::ELAPSED,
            &indicator::EXPONENTIAL_MOVING_AVERAGE,
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
            &indicator::HOLT_WINTERS,
            &hour_selection::HOUR_SELECTION,
            &difference::INCREASE,
            &convert::INT,
            &integral::INTEGRAL,
            &join::JOIN,
            &indicator::KAUFMANS_AMA,
            &indicator::KAUFMANS_ER,
            &columns::KEEP,
            &describe::KEYS,
            &describe::KEY_VALUES,
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
            &moving_average::MOVING_AVERAGE,
            &cov::PEARSONR,
            &pivot::PIVOT,
            &quantile::QUANTILE,
            &range::RANGE,
            &reduce::REDUCE,
            &indicator::RELATIVE_STRENGTH_INDEX,
            &columns::RENAME,
            &sample::SAMPLE,
            &set::SET,
            &aggregate::SKEW,
            &sort::SORT,
            &aggregate::SPREAD,
            &state_tracking::STATE_COUNT,
            &state_tracking::STATE_DURATION,
            &state_tracking::STATE_TRACKING,
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
            &to_type::TO_BOOL,
            &to_type::TO_FLOAT,
            &to_type::TO_INT,
            &to_type::TO_STRING,
            &to_type::TO_TIME,
            &to_type::TO_UINT,
            &indicator::TRIPLE_EMA,
            &indicator::TRIPLE_EXPONENTIAL_DERIVATIVE,
            &time_columns::TRUNCATE_TIME_COLUMN,
            &convert::UINT,
            &union::UNION,
            &distinct::UNIQUE,
            &WIDE_TO,
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
