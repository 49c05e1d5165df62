//! Athena from outside: real SQL over a real Delta table, asked with AWS's SDKs for Rust and for Python.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use aws_sdk_athena::types::{QueryExecution, QueryExecutionState, ResultConfiguration, WorkGroupConfiguration};
use ecomctl::{
    client::{
        aws::Aws,
        glue::{Column, Database, Rows, Storage, Table},
    },
    local::{Endpoints, Home},
};
use serde_json::Value;

use super::gateway::{aws, unique, until};

/// How many rows the table has: more than two pages.
const ROWS: usize = 2500;

/// What the queries run on.
struct Lake {
    aws: Aws,
    bucket: String,
    database: String,
    workgroup: String,
    /// The rows, as Athena writes values.
    rows: Vec<Vec<Option<String>>>,
}

/// Queries give the rows that the table has, page by page, to clients of all kinds; wrong ones say what is wrong with
/// them; and they can be stopped.
pub(crate) async fn queries_give_what_the_lake_holds(on: &Endpoints, home: &Home) {
    let lake = lake(on, home).await;
    pages_put_together_are_the_table(&lake).await;
    clients_that_are_not_ours_see_the_same(on, &lake);
    tables_with_manifests_are_the_same(&lake).await;
    wide_results_come_in_time(&lake).await;
    values_are_what_trino_makes_of_them(&lake).await;
    types_decide_as_trino_lets_them(&lake).await;
    parameters_stand_where_their_marks_stood(&lake).await;
    wrong_statements_say_what_is_wrong(&lake).await;
    queries_can_be_stopped_and_are_remembered(&lake).await;
    the_catalog_can_be_asked(&lake).await;
}

async fn lake(on: &Endpoints, home: &Home) -> Lake {
    let aws = aws(on).await;
    let (bucket, workgroup) = (unique("lake"), unique("analysts"));
    let database = unique("gold").replace('-', "_");
    aws.s3().create_bucket().bucket(&bucket).send().await.expect("a bucket");
    let location = format!("s3://{bucket}/gold/sales/");
    let written = python(&home.spark().join("bin/python"), "lake.py", &[&location, &on.gateway, &ROWS.to_string()]);
    let rows: Vec<Vec<Option<String>>> = serde_json::from_value(written).expect("rows");
    assert_eq!(rows.len(), ROWS);

    let glue = aws.glue();
    glue.create_database(&Database { name: database.clone(), ..Database::default() }).await.expect("a database");
    let marks = [("table_type", "DELTA"), ("spark.sql.sources.provider", "delta")];
    let table = Table {
        name: "sales".into(),
        table_type: Some("EXTERNAL_TABLE".into()),
        parameters: marks.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        storage_descriptor: Storage {
            location: Some(location.clone()),
            serde_info: Rows { parameters: [("path".to_owned(), location)].into(), ..Rows::default() },
            ..Storage::default()
        },
        ..Table::default()
    };
    glue.create_table(&database, &table).await.expect("a table");
    let results = ResultConfiguration::builder().output_location(format!("s3://{bucket}/results/")).build();
    let settings = WorkGroupConfiguration::builder().result_configuration(results);
    let settings = settings.enforce_work_group_configuration(true).build();
    aws.athena().create_work_group().name(&workgroup).configuration(settings).send().await.expect("a workgroup");
    Lake { aws, bucket, database, workgroup, rows }
}

impl Lake {
    async fn start(&self, sql: &str, token: Option<&str>) -> String {
        let request = self.aws.athena().start_query_execution().query_string(sql).work_group(&self.workgroup);
        let started = request.set_client_request_token(token.map(str::to_owned)).send().await.expect("a query");
        started.query_execution_id().expect("an identifier").to_owned()
    }

    async fn look(&self, id: &str) -> QueryExecution {
        let found = self.aws.athena().get_query_execution().query_execution_id(id).send().await.expect("the query");
        found.query_execution.expect("its description")
    }

    async fn end(&self, id: &str) -> QueryExecution {
        until("the query ends", || async {
            let it = self.look(id).await;
            let state = it.status().and_then(|it| it.state()).expect("a state").clone();
            (!matches!(state, QueryExecutionState::Queued | QueryExecutionState::Running)).then_some(it)
        })
        .await
    }

    /// Runs a statement that fails and returns why.
    async fn refusal(&self, sql: &str) -> String {
        let failed = self.end(&self.start(sql, None).await).await;
        let status = failed.status().expect("a status");
        assert_eq!(status.state(), Some(&QueryExecutionState::Failed), "{sql}");
        let reason = status.state_change_reason().expect("a reason").to_owned();
        assert_eq!(status.athena_error().and_then(|it| it.error_message()), Some(reason.as_str()));
        reason
    }

    /// Runs a statement that is no SELECT and returns its lines.
    async fn lines(&self, sql: &str) -> Vec<String> {
        let id = self.start(sql, None).await;
        let ended = self.end(&id).await;
        let status = ended.status().expect("a status");
        assert_eq!(status.state(), Some(&QueryExecutionState::Succeeded), "{sql}: {:?}", status.state_change_reason());
        let page = self.aws.athena().get_query_results().query_execution_id(id).send().await.expect("lines");
        let set = page.result_set().expect("rows");
        set.rows().iter().map(|it| it.data()[0].var_char_value().expect("text").to_owned()).collect()
    }

    fn select(&self) -> String {
        format!("SELECT * FROM {}.sales ORDER BY id", self.database)
    }
}

async fn pages_put_together_are_the_table(lake: &Lake) {
    let id = lake.start(&lake.select(), None).await;
    let early = lake.aws.athena().get_query_results().query_execution_id(&id).send().await;
    let refused = early.err().map(|it| it.into_service_error());
    assert!(refused.is_none_or(|it| it.is_invalid_request_exception()), "nothing is given before it is there");
    let done = lake.end(&id).await;
    assert_eq!(done.status().and_then(|it| it.state()), Some(&QueryExecutionState::Succeeded), "{done:?}");
    assert!(done.statistics().and_then(|it| it.data_scanned_in_bytes()).is_some_and(|it| it > 0));
    for most in [1000, 7] {
        let (mut rows, mut token, mut sizes) = (Vec::new(), None, Vec::new());
        loop {
            let request = lake.aws.athena().get_query_results().query_execution_id(&id).max_results(most);
            let page = request.set_next_token(token).send().await.expect("a page");
            let set = page.result_set().expect("rows");
            sizes.push(set.rows().len());
            rows.extend(
                set.rows()
                    .iter()
                    .map(|row| row.data().iter().map(|it| it.var_char_value().map(str::to_owned)).collect::<Vec<_>>()),
            );
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        let names: Vec<_> = rows.remove(0).into_iter().flatten().collect();
        assert_eq!(names, ["id", "small", "net", "day", "at", "note", "open"]);
        assert_eq!(rows, lake.rows);
        assert_eq!(sizes.len(), (ROWS + 1).div_ceil(usize::try_from(most).expect("a size")));
    }
    // What is kept on the way is not what counts: a result that is gone is gone.
    let output = done.result_configuration().and_then(|it| it.output_location()).expect("a place").to_owned();
    let key = output.split_once(&format!("{}/", lake.bucket)).expect("in the bucket").1;
    lake.aws.s3().delete_object().bucket(&lake.bucket).key(key).send().await.expect("deleted");
    let gone = lake.aws.athena().get_query_results().query_execution_id(&id).send().await.expect_err("no result");
    assert!(gone.into_service_error().is_invalid_request_exception());
}

fn clients_that_are_not_ours_see_the_same(on: &Endpoints, lake: &Lake) {
    let seen = python(&boto3(), "client.py", &[&on.gateway, &lake.workgroup, &lake.select()]);
    assert_eq!(serde_json::from_value::<Vec<Vec<Option<String>>>>(seen["rows"].clone()).expect("rows"), lake.rows);
    assert_eq!(seen["pages"], serde_json::json!([1000, 1000, 501]));
    let types: Vec<&str> =
        seen["columns"].as_array().expect("columns").iter().filter_map(|it| it[1].as_str()).collect();
    let zoned = "timestamp with time zone";
    assert_eq!(types, ["bigint", "integer", "decimal", "date", zoned, "varchar", "boolean"]);
    let file = seen["file"].as_array().expect("a file");
    // CSV, as Python reads it, does not tell nothing from an empty text.
    let plain = |row: &Vec<Option<String>>| row.iter().map(|it| it.clone().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(file.len(), ROWS + 1);
    for (line, row) in file[1..].iter().zip(&lake.rows) {
        assert_eq!(serde_json::from_value::<Vec<String>>(line.clone()).expect("a line"), plain(row));
    }
    assert_eq!(seen["refused"], "WorkGroup nobody is not found.");
}

/// Tables as Redshift Spectrum reads them: by the list of files that delta-rs wrote.
async fn tables_with_manifests_are_the_same(lake: &Lake) {
    let (database, glue) = (&lake.database, lake.aws.glue());
    for (name, folder) in [("listed", "gold/sales"), ("unwritten", "gold/nothing")] {
        let table = Table {
            name: name.into(),
            table_type: Some("EXTERNAL_TABLE".into()),
            storage_descriptor: Storage {
                columns: [("id", "bigint"), ("net", "decimal(18,2)"), ("at", "timestamp")]
                    .map(|(name, kind)| Column { name: name.into(), kind: kind.into(), comment: None })
                    .into(),
                location: Some(format!("s3://{}/{folder}/_symlink_format_manifest/", lake.bucket)),
                input_format: Some("org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat".into()),
                ..Storage::default()
            },
            ..Table::default()
        };
        glue.create_table(database, &table).await.expect("a table");
    }
    let same =
        ["net", "day", "at", "note", "open"].map(|it| format!(" and l.{it} is not distinct from s.{it}")).concat();
    let sql = format!(
        "select (select count(*) from {database}.listed l join {database}.sales s on l.id = s.id{same}), \
         (select count(*) from {database}.listed), (select count(*) from {database}.unwritten where net > 1 or at is null)"
    );
    let id = lake.start(&sql, None).await;
    let done = lake.end(&id).await;
    assert_eq!(done.status().and_then(|it| it.state()), Some(&QueryExecutionState::Succeeded), "{done:?}");
    let page = lake.aws.athena().get_query_results().query_execution_id(id).send().await.expect("a page");
    let row = page.result_set().expect("rows").rows()[1].data();
    let found: Vec<_> = row.iter().filter_map(|it| it.var_char_value()).collect();
    assert_eq!(found, [&*ROWS.to_string(), &*ROWS.to_string(), "0"]);
    for name in ["listed", "unwritten"] {
        glue.delete_table(database, name).await.expect("gone");
    }
}

/// Pages end by their size, too, and one row may be larger than any page.
async fn wide_results_come_in_time(lake: &Lake) {
    let sql = "select x, rpad('x', x * 400000, 'y') as wide from unnest(array[1, 2, 20, 1, 1, 1, 1]) t(x)";
    let id = lake.start(sql, None).await;
    let done = lake.end(&id).await;
    assert_eq!(done.status().and_then(|it| it.state()), Some(&QueryExecutionState::Succeeded), "{done:?}");
    let (mut rows, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let request = lake.aws.athena().get_query_results().query_execution_id(&id).set_next_token(token);
        let page = request.send().await.expect("a page");
        pages += 1;
        let own = page.result_set().expect("rows").rows().iter();
        rows.extend(own.map(|it| {
            (it.data()[0].var_char_value().map(str::to_owned), it.data()[1].var_char_value().map_or(0, str::len))
        }));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    let wide = [1, 2, 20, 1, 1, 1, 1].map(|it: usize| (Some(it.to_string()), it * 400_000));
    assert_eq!(rows[0], (Some("x".to_owned()), "wide".len()));
    assert_eq!(rows[1..], wide);
    assert!((3..=8).contains(&pages), "{pages} pages of about 1 MiB");
}

/// Expected are types and texts as Trino's documentation and Java have them.
async fn values_are_what_trino_makes_of_them(lake: &Lake) {
    let cases = [
        ("7 / 2", "integer", "3"),
        ("-7 / 2", "integer", "-3"),
        ("decimal '1.50'", "decimal", "1.50"),
        ("10.0 / 4", "decimal", "2.5"),
        ("sum(net) / count(*)", "decimal", "11276.86"),
        ("avg(net)", "decimal", "12408.52"),
        ("sum(small)", "bigint", "106029"),
        ("1e10", "double", "1.0E10"),
        ("real '0.1'", "float", "0.1"),
        ("nan()", "double", "NaN"),
        ("date_trunc('month', min(day))", "date", "2024-02-01"),
        ("date_add('day', 1, date '2024-02-28')", "date", "2024-02-29"),
        ("date_diff('day', date '2024-02-28', date '2024-03-01')", "bigint", "2"),
        ("date_format(timestamp '2024-01-02 03:04:05', '%Y-%m')", "varchar", "2024-01"),
        ("format_datetime(timestamp '2024-01-02 03:04:05', 'dd.MM.yyyy HH:mm')", "varchar", "02.01.2024 03:04"),
        ("timestamp '2024-01-02 03:04:05.678'", "timestamp", "2024-01-02 03:04:05.678"),
        ("array[1, null, 2]", "array", "[1, null, 2]"),
        ("array[decimal '1.5']", "array", "[1.5]"),
        ("map(array['a'], array[1])", "map", "{a=1}"),
        ("cast(row(1, 'x') as row(a integer, b varchar))", "row", "{a=1, b=x}"),
        ("x'68690a'", "varbinary", "68 69 0a"),
        ("interval '90' minute", "interval day to second", "0 01:30:00.000"),
        ("count_if(note = '')", "bigint", "500"),
        ("approx_distinct(1)", "bigint", "1"),
        ("json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a.b')", "varchar", "1"),
        ("try(cast('x' as integer)) is null", "boolean", "true"),
    ];
    let items: Vec<_> = cases.iter().map(|it| it.0).collect();
    let id = lake.start(&format!("select {} from {}.sales", items.join(", "), lake.database), None).await;
    let done = lake.end(&id).await;
    assert_eq!(done.status().and_then(|it| it.state()), Some(&QueryExecutionState::Succeeded), "{done:?}");
    let page = lake.aws.athena().get_query_results().query_execution_id(id).send().await.expect("a page");
    let set = page.result_set().expect("rows");
    let columns = set.result_set_metadata().expect("columns").column_info();
    for (at, (expression, kind, text)) in cases.into_iter().enumerate() {
        assert_eq!(columns[at].name(), format!("_col{at}"));
        assert_eq!(
            (columns[at].r#type(), set.rows()[1].data()[at].var_char_value()),
            (kind, Some(text)),
            "{expression}"
        );
    }
}

/// Each line of the file is an expression with its type and text, or with why it is refused; all that are answered are
/// asked at once.
async fn types_decide_as_trino_lets_them(lake: &Lake) {
    let cases: Vec<Vec<&str>> = include_str!("athena/types.tsv")
        .lines()
        .filter(|it| !it.starts_with('#'))
        .map(|it| it.split('\t').collect())
        .collect();
    let from = "from (values (cast(1 as bigint), 2, 1.50, 3.5e0, date '2024-01-31', timestamp '2024-01-01 23:30:00.000', \
                timestamp '2024-01-01 23:30:00.000 UTC', real '0.1'), (9, 7, 2.25, 2.5e0, date '2024-02-29', \
                timestamp '2024-02-29 01:00:00.000', null, null)) t(b, i, d, f, day, ts, z, r)";
    let answered: Vec<_> = cases.iter().filter(|it| it.len() == 3).collect();
    let items: Vec<_> = answered.iter().map(|it| format!("(select {} {from})", it[0])).collect();
    let done = lake.end(&lake.start(&format!("select {}", items.join(", ")), None).await).await;
    assert_eq!(done.status().and_then(|it| it.state()), Some(&QueryExecutionState::Succeeded), "{done:?}");
    let id = done.query_execution_id().expect("an identifier");
    let page = lake.aws.athena().get_query_results().query_execution_id(id).send().await.expect("a page");
    let set = page.result_set().expect("rows");
    let columns = set.result_set_metadata().expect("columns").column_info();
    for (at, case) in answered.iter().enumerate() {
        let (column, text) = (&columns[at], set.rows()[1].data()[at].var_char_value().unwrap_or("NULL"));
        let kind = match column.r#type() {
            "decimal" => format!("decimal({},{})", column.precision(), column.scale()),
            it => it.to_owned(),
        };
        assert_eq!((kind.as_str(), text), (case[1], case[2]), "{}", case[0]);
    }
    for case in cases.iter().filter(|it| it.len() == 2) {
        let reason = lake.refusal(&format!("select {} {from}", case[0])).await;
        assert!(reason.starts_with(case[1]), "{}: {reason}", case[0]);
    }
    // What is grouped by and what is selected stay the same expression.
    let grouped = "date_trunc('month', day), sum(d) / count(*)";
    let sql =
        format!("select {grouped}, sum(i) over () {from} group by date_trunc('month', day), i order by sum(d) / 3");
    let id = lake.end(&lake.start(&sql, None).await).await;
    assert_eq!(id.status().and_then(|it| it.state()), Some(&QueryExecutionState::Succeeded), "{id:?}");
}

async fn parameters_stand_where_their_marks_stood(lake: &Lake) {
    let ask = async |sql: &str, values: &[&str]| {
        let request = lake.aws.athena().start_query_execution().query_string(sql).work_group(&lake.workgroup);
        let values = values.iter().map(|it| (*it).to_owned()).collect();
        let started = request.set_execution_parameters(Some(values)).send().await.expect("a query");
        lake.end(started.query_execution_id().expect("an identifier")).await
    };
    let sql =
        "select ? as a, x.v -- ?\nfrom (select ? + (? * 10) as v where 'a?' = ?) x where x.v between ? and ? limit ?";
    let done =
        ask(sql, &["'it''s'", "1", "2", "'a?'", "-5", "date_diff('day', date '2024-01-01', date '2024-02-01')", "1"]);
    let done = done.await;
    assert_eq!(done.status().and_then(|it| it.state()), Some(&QueryExecutionState::Succeeded), "{done:?}");
    let id = done.query_execution_id().expect("an identifier");
    let page = lake.aws.athena().get_query_results().query_execution_id(id).send().await.expect("a page");
    let row: Vec<_> = page.result_set().expect("rows").rows()[1].data().iter().map(|it| it.var_char_value()).collect();
    assert_eq!(row, [Some("it's"), Some("21")]);
    for values in
        [&["a"][..], &["1, 2"], &["1) or (1 = 1"], &["select 1"], &[""], &["'x"], &["?"], &["count(*)"], &["1", "2"]]
    {
        let failed = ask("select 1 where 1 = ?", values).await;
        let error = failed.status().and_then(|it| it.athena_error()).expect("an error");
        assert_eq!(error.error_category(), Some(2), "the user's: {values:?}");
        assert!(error.error_message().is_some_and(|it| it.starts_with("INVALID_PARAMETER_USAGE: ")), "{error:?}");
    }
}

async fn wrong_statements_say_what_is_wrong(lake: &Lake) {
    let database = &lake.database;
    for (sql, reason) in [
        (
            format!("select *\nfrom {database}.sale"),
            format!("TABLE_NOT_FOUND: line 2:6: Table 'awsdatacatalog.{database}.sale' does not exist"),
        ),
        (
            "select * from nowhere.t".to_owned(),
            "SCHEMA_NOT_FOUND: line 1:15: Schema 'nowhere' does not exist".to_owned(),
        ),
        (
            format!("select id, totl from {database}.sales"),
            "COLUMN_NOT_FOUND: line 1:12: Column 'totl' cannot be resolved".to_owned(),
        ),
        (
            format!("select id, sum(net) from {database}.sales"),
            "EXPRESSION_NOT_AGGREGATE: line 1:8: 'id' must be an aggregate expression".to_owned(),
        ),
        ("selec 1".to_owned(), "line 1:1: mismatched input 'selec'".to_owned()),
        (format!("select * from {database}.sales where"), "mismatched input ".to_owned()),
        ("select 1/0".to_owned(), "DIVISION_BY_ZERO: ".to_owned()),
        (format!("delete from {database}.sales"), "NOT_SUPPORTED: ".to_owned()),
        // Nothing but the lake can be read.
        ("select * from read_text('/etc/passwd')".to_owned(), "file system operations are disabled".to_owned()),
        ("select * from '/etc/passwd'".to_owned(), String::new()),
    ] {
        let found = lake.refusal(&sql).await;
        assert!(found.contains(&reason) && !found.contains("root:"), "{sql}: {found}");
    }
    let primary = lake.aws.athena().start_query_execution().query_string("select 1").send().await;
    let refused = primary.expect_err("nowhere to put the result").into_service_error();
    assert!(refused.to_string().contains("output location"), "{refused}");
}

async fn queries_can_be_stopped_and_are_remembered(lake: &Lake) {
    let athena = lake.aws.athena();
    let endless = "select count(*) from unnest(sequence(1, 1000000)) a(x) cross join unnest(sequence(1, 1000000)) b(y) \
                   where x * y % 7 = 3";
    let id = lake.start(endless, None).await;
    until("it runs", || async {
        let state = lake.look(&id).await.status.and_then(|it| it.state);
        (state == Some(QueryExecutionState::Running)).then_some(())
    })
    .await;
    let began = Instant::now();
    athena.stop_query_execution().query_execution_id(&id).send().await.expect("it stops");
    let stopped = lake.end(&id).await;
    assert_eq!(stopped.status().and_then(|it| it.state()), Some(&QueryExecutionState::Cancelled));
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());

    let token = unique("a-token-of-at-least-32-characters");
    let first = lake.start("select 1 as one", Some(&token)).await;
    assert_eq!(lake.start("select 1 as one", Some(&token)).await, first, "asked twice, run once");
    let other = athena.start_query_execution().query_string("select 2").work_group(&lake.workgroup);
    let refused = other.client_request_token(&token).send().await.expect_err("another statement");
    assert!(refused.into_service_error().is_invalid_request_exception());
    lake.end(&first).await;

    let listed =
        athena.list_query_executions().work_group(&lake.workgroup).max_results(2).send().await.expect("a list");
    assert_eq!(listed.query_execution_ids(), [first.clone(), id.clone()], "the newest first");
    let rest = athena.list_query_executions().work_group(&lake.workgroup).set_next_token(listed.next_token);
    assert!(!rest.send().await.expect("the rest").query_execution_ids().contains(&id));
    let both = athena.batch_get_query_execution().query_execution_ids(&first).query_execution_ids("none");
    let both = both.send().await.expect("both");
    assert_eq!((both.query_executions().len(), both.unprocessed_query_execution_ids().len()), (1, 1));
}

async fn the_catalog_can_be_asked(lake: &Lake) {
    let (database, bucket) = (&lake.database, &lake.bucket);
    let made = format!(
        "CREATE EXTERNAL TABLE {database}.again LOCATION 's3://{bucket}/gold/sales/' TBLPROPERTIES ('table_type'='DELTA')"
    );
    assert!(lake.lines(&made).await.is_empty());
    assert_eq!(
        lake.lines(&format!("-- as an editor\n/* has it */ SHOW TABLES IN {database}")).await,
        ["again", "sales"]
    );
    let columns = lake.lines(&format!("DESCRIBE {database}.again")).await;
    assert_eq!(columns[2], "net\tdecimal(18,2)\t");
    assert!(lake.lines(&format!("DROP TABLE {database}.again")).await.is_empty());
    assert_eq!(lake.lines(&format!("SHOW TABLES IN {database}")).await, ["sales"]);
}

/// Runs one of the programs beside this file and returns the JSON that it prints.
fn python(interpreter: &Path, program: &str, arguments: &[&str]) -> Value {
    let program = here().join(program);
    let done = Command::new(interpreter).arg(&program).args(arguments).output().expect("it starts");
    assert!(done.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("JSON")
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/local/athena")
}

/// Makes an environment with boto3, once for each list of requirements.
pub(crate) fn boto3() -> PathBuf {
    let requirements = here().join("boto3.txt");
    let name = Path::new(env!("CARGO_TARGET_TMPDIR")).join("boto3");
    let (python, made) = (name.join("bin/python"), name.join("requirements.txt"));
    if fs::read(&made).ok() != fs::read(&requirements).ok() {
        let run = |command: &mut Command| assert!(command.status().expect("it starts").success(), "{command:?}");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&name));
        let pip =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement"];
        run(Command::new(&python).args(pip).arg(&requirements));
        fs::copy(requirements, made).expect("copied");
    }
    python
}
