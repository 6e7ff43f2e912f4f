"""What a statement at a SQL door may be made of.

Whoever adds a function answers: can it reach anything but its arguments, and can one call of it take far more memory
or time than its arguments have bytes?
"""

from __future__ import annotations

from sqlglot import exp

_PARTS = """
Select Union Intersect Except Subquery From Where Group Having Order Ordered Limit Offset Qualify Distinct With CTE
Table TableAlias Alias Identifier Column Star Literal Null Boolean Paren Tuple Values Var Join Cube Rollup GroupingSets
EQ NEQ LT LTE GT GTE NullSafeEQ NullSafeNEQ Is In Between And Or Not Neg Like ILike SimilarTo Glob Escape Exists Any All
Add Sub Mul Div IntDiv Mod DPipe Bracket Slice Array Case If Cast TryCast DataType DataTypeParam Interval AtTimeZone
Window WindowSpec Filter IgnoreNulls RespectNulls WithinGroup LimitOptions Fetch
"""

_FUNCTIONS = """
Count CountIf Sum Avg Min Max Median Mode Stddev StddevSamp StddevPop Variance VariancePop Corr CovarSamp CovarPop
PercentileCont PercentileDisc Quantile ApproxQuantile ApproxDistinct ArgMax ArgMin First Last AnyValue LogicalAnd
LogicalOr BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg GroupConcat ArrayAgg Grouping RegrSlope RegrIntercept RegrR2
RegrCount Kurtosis Skewness RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue
Abs Round Ceil Floor Sign Sqrt Cbrt Exp Ln Log Pow Greatest Least Sin Cos Tan Asin Acos Atan Atan2 Degrees Radians Pi
IsNan IsInf Trunc Coalesce Nullif Typeof Upper Lower Trim Length Substring Left Right Concat ConcatWs Replace Reverse
StrPosition StartsWith EndsWith Contains SplitPart RegexpLike RegexpExtract RegexpReplace RegexpFullMatch MD5 SHA SHA2
Unicode Chr Translate Initcap Extract Year Month Day Week Quarter Hour Minute Second DayOfWeek DayOfMonth DayOfYear
DayOfWeekIso Dayname Monthname DateTrunc TimestampTrunc DateDiff DateAdd DateSub TimeToStr StrToTime StrToDate
TimeToUnix UnixToTime DateFromParts TimestampFromParts DateBin LastDay Date TsOrDsToDate TimestampDiff TimeStrToTime
WeekOfYear YearOfWeek ArrayContains ArraySize
"""

PARTS: frozenset[type[exp.Expr]] = frozenset(getattr(exp, name) for name in _PARTS.split())
"""The parts of a statement that are no function of values."""

FUNCTIONS: frozenset[type[exp.Expr]] = frozenset(getattr(exp, name) for name in _FUNCTIONS.split())
"""Functions that the parser knows."""

_NAMED = """
date_part histogram epoch_ms epoch_us epoch_ns local_day isodow isoyear weekday era century decade millennium
product favg fsum kahan_sum sumkahan geomean geometric_mean mad quantile sem regr_avgx regr_avgy regr_sxx regr_sxy
regr_syy isfinite even gcd lcm factorial sinh cosh tanh log2 fdiv fmod nextafter strip_accents ltrim rtrim
prefix suffix instr bit_length strlen ascii ord list_count
"""

NAMED = frozenset(_NAMED.split())
"""Functions that the parser passes on by name."""

_CHANGING = """
now current_date current_timestamp current_time currentdate currenttimestamp currenttime localtime localtimestamp
get_current_timestamp get_current_time today transaction_timestamp random rand uuid gen_random_uuid uuidv4 uuidv7
current_datetime
"""

CHANGING = frozenset(_CHANGING.split())
"""Functions that give another answer each time."""

_TYPES = """
BOOLEAN TINYINT SMALLINT INT BIGINT INT128 UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE DECIMAL VARCHAR TEXT CHAR
DATE TIME TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ INTERVAL
"""

TYPES = frozenset(getattr(exp.DType, name) for name in _TYPES.split())
"""Types that a value may be cast to."""
