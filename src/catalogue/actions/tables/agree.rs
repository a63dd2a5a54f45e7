//! Whether a table holds the same rows on two servers.
//!
//! Each server sorts its rows into a few thousand groups by the hash of their key, and tells for each group the number of rows and the sum of their hashes. The sum does not
//! depend on the order of the rows, and a row that is there twice changes it (an exclusive or would not show that). Only the rows of groups that differ are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::catalogue::difference::{Compared, Difference};
use crate::catalogue::expect::place::HostPort;
use crate::catalogue::servers::table::Table;
use crate::catalogue::until::until_at_most;
use crate::engine::action::{ActionError, Applied, Cx};
use crate::world::World;

/// The longest pause between two looks: each reads whole tables.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(10);

/// About so many rows are read of groups that differ, of one side.
const READ: u64 = 100_000;

/// A database server, and how it says in SQL what servers say differently.
pub(super) trait Server: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The word of the action.
    const RECONCILE: &'static str;
    /// How the action is written, as [`Action::EXAMPLE`](crate::engine::action::Action::EXAMPLE).
    const EXAMPLE: &'static str;

    /// Where it is.
    fn address(&self) -> &HostPort;

    /// The first cells of all rows, which are texts, in a transaction that only reads, with every setting that changes texts the same everywhere.
    ///
    /// # Errors
    /// In one line.
    fn ask(&self, world: &World, question: &str) -> impl Future<Output = Result<Vec<String>, String>> + Send;

    /// Asks for the columns of a table, each as its name and its type with a space between.
    fn columns(table: &Table) -> String;

    /// A name in a question.
    fn quoted(name: &str) -> String;

    /// A column's value as a text that people know it by.
    fn text(column: &Column) -> String;

    /// What `text` gave as a value of the column.
    fn value(column: &Column, text: &str) -> String;

    /// The MD5 of all of a row, 32 digits.
    fn hash(columns: &[Column]) -> String;

    /// The first 60 bits of such a hash as an integer.
    fn number(hash: &str) -> String;
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column {
    /// Its name in a question.
    pub(super) quoted: String,
    /// Its type, as the server calls it.
    pub(super) of_type: String,
    name: String,
}

impl Column {
    pub(super) fn new<S: Server>(name: &str, of_type: &str) -> Self {
        Self { quoted: S::quoted(name), of_type: of_type.to_owned(), name: name.to_owned() }
    }
}

/// Compares until both hold the same. `key` names a column that grows with time.
pub(super) async fn agree<S: Server>(cx: &Cx<'_, World>, source: &S, mirror: &S, table: &Table, key: &str) -> Result<Applied<Compared>, ActionError> {
    let ask = async |server: &S, question: &str| {
        let failed = |message| ActionError::Other { message: format!("{}: {message}", server.address()), retry: true };
        server.ask(cx.world, question).await.map_err(failed)
    };
    let both = async |question: &str| try_join(ask(source, question), ask(mirror, question)).await;
    let columns = columns(table, [source, mirror].map(Server::address), both(&S::columns(table)).await?)?;
    let (key, columns) = with_key::<S>(table, key, &columns)?;
    // Without a name of its own the text would be called as the column is, and be what is ordered by.
    let newest =
        format!("select {} as {} from {table} where {2} is not null order by {2} desc limit 1", S::text(&key), S::quoted("text of it"), key.quoted);
    let newest = ask(source, &newest).await?;
    // Nothing agrees with nothing, whatever happened to either.
    let Some(newest) = newest.first() else {
        return Err(ActionError::Check(format!("{}: {table} holds no row with a `{}`: there is nothing to compare", source.address(), key.name)));
    };
    let questions = Questions::new::<S>(table, &key, &columns, Some(newest));
    let (both, questions, shown) = (&both, &questions, &Mutex::new(String::new()));
    let compared = until_at_most(PAUSE, || async move {
        let begun = tokio::time::Instant::now();
        let (here, there) = both(&questions.groups).await?;
        let (here, there) = (Groups::read(here)?, Groups::read(there)?);
        let (differing, all) = here.differing(&there);
        let mut found = Difference::default();
        if !differing.is_empty() {
            let (here, there) = both(&questions.rows_of(&differing)).await?;
            found = compare(&here, &there);
        }
        let mut line = found.line(here.count, there.count);
        if !all {
            line.push_str("; and more");
        }
        {
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if *shown != line {
                (cx.progress)(line.clone());
                *shown = line;
            }
        }
        if found.is_none() && differing.is_empty() {
            return Ok(Some(Compared::new(here.count, there.count, &found)));
        }
        // The servers have other things to do as well.
        tokio::time::sleep(begun.elapsed()).await;
        Ok(None)
    });
    Ok(Applied::changed(compared.await?))
}

/// The columns of both, which have to be the same by name.
fn columns(
    table: &Table,
    [source, mirror]: [&HostPort; 2],
    (here, there): (Vec<String>, Vec<String>),
) -> Result<BTreeMap<String, String>, ActionError> {
    let read = |server: &HostPort, lines: Vec<String>| {
        let columns: BTreeMap<String, String> =
            lines.iter().filter_map(|line| line.split_once(' ')).map(|(name, of_type)| (name.to_owned(), of_type.to_owned())).collect();
        let hint = "the user must be allowed to read it, and it is named as `schema.table` where it is elsewhere";
        if columns.is_empty() { Err(ActionError::Check(format!("{server}: there is no table {table}: {hint}"))) } else { Ok(columns) }
    };
    let (here, there) = (read(source, here)?, read(mirror, there)?);
    let only = |of: &BTreeMap<String, String>, other: &BTreeMap<String, String>| of.keys().find(|name| !other.contains_key(*name)).cloned();
    let differs = |server: &HostPort, column| Err(ActionError::Check(format!("only {server} has a column {column} in {table}")));
    match (only(&here, &there), only(&there, &here)) {
        (Some(column), _) => differs(source, column),
        (_, Some(column)) => differs(mirror, column),
        (None, None) => Ok(here),
    }
}

fn with_key<S: Server>(table: &Table, key: &str, columns: &BTreeMap<String, String>) -> Result<(Column, Vec<Column>), ActionError> {
    let columns: Vec<Column> = columns.iter().map(|(name, of_type)| Column::new::<S>(name, of_type)).collect();
    let found = columns.iter().find(|column| column.name == key).cloned();
    let names = || columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    let key = found.ok_or_else(|| ActionError::Check(format!("{table} has no column {key}; it has {}", names())))?;
    Ok((key, columns))
}

/// What both servers are asked.
struct Questions {
    /// Group, count and sum of each group.
    groups: String,
    rows: String,
}

impl Questions {
    fn new<S: Server>(table: &Table, key: &Column, columns: &[Column], newest: Option<&str>) -> Self {
        let (text, hash) = (S::text(key), S::hash(columns));
        let up_to = newest.map_or_else(|| "true".to_owned(), |newest| format!("{} <= {}", key.quoted, S::value(key, newest)));
        let from = format!("from {table} where {up_to}");
        let group = format!("left(md5({text}), 3)");
        let each = format!("select {group} as part, {} as number {from}", S::number(&hash));
        Self {
            groups: format!("select concat(part, ' ', count(*), ' ', sum(number)) from ({each}) as seen group by part"),
            rows: format!("select concat({hash}, ' ', {text}) {from} and {group} in "),
        }
    }

    /// Hash and key of every row of these groups.
    fn rows_of(&self, groups: &[String]) -> String {
        let list: Vec<String> = groups.iter().map(|group| format!("'{group}'")).collect();
        format!("{}({})", self.rows, list.join(", "))
    }
}

/// What a server says of its rows.
struct Groups {
    count: u64,
    /// Count and sum of each, which nobody has to understand to see that they are the same.
    of: BTreeMap<String, (u64, String)>,
}

impl Groups {
    fn read(lines: Vec<String>) -> Result<Self, ActionError> {
        let mut all = Self { count: 0, of: BTreeMap::new() };
        for line in lines {
            let mut words = line.split(' ');
            // They become part of a question.
            let group = words.next().filter(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let (Some(group), Some(Ok(count)), Some(sum)) = (group, words.next().map(str::parse), words.next()) else {
                return Err(ActionError::Check(format!("a server sums up its rows as \"{line}\"")));
            };
            all.count += count;
            all.of.insert(group.to_owned(), (count, sum.to_owned()));
        }
        Ok(all)
    }

    /// The groups that differ, as many as have about [`READ`] rows, and whether these are all.
    fn differing(&self, other: &Self) -> (Vec<String>, bool) {
        let names: BTreeSet<&String> = self.of.keys().chain(other.of.keys()).collect();
        let (mut read, mut all) = (0, true);
        let mut differ = |name: &&String| {
            let (here, there) = (self.of.get(*name), other.of.get(*name));
            if here == there {
                return false;
            }
            let rows = [here, there].into_iter().flatten().map(|(count, _)| *count).max().unwrap_or_default();
            let fits = read == 0 || read + rows <= READ;
            all &= fits;
            read += if fits { rows } else { 0 };
            fits
        };
        let differing = names.into_iter().filter(|name| differ(name)).cloned().collect();
        (differing, all)
    }
}

/// Rows as hash and key, held against each other by key.
fn compare(source: &[String], mirror: &[String]) -> Difference {
    let (source, mirror) = (by_key(source), by_key(mirror));
    let mut found = Difference::default();
    for (key, rows) in &source {
        let copies = mirror.get(key).map_or(&[][..], Vec::as_slice);
        let name = key.1.to_owned();
        match copies.len().cmp(&rows.len()) {
            std::cmp::Ordering::Less => found.missing.push(name),
            std::cmp::Ordering::Greater => found.doubled.push(name),
            std::cmp::Ordering::Equal if copies != rows => found.different.push(name),
            std::cmp::Ordering::Equal => {}
        }
    }
    found.extra = mirror.keys().filter(|key| !source.contains_key(*key)).map(|key| key.1.to_owned()).collect();
    found
}

/// The hashes of the rows of each key, in an order in which numbers come as they count.
fn by_key(rows: &[String]) -> BTreeMap<(usize, &str), Vec<&str>> {
    let mut all: BTreeMap<(usize, &str), Vec<&str>> = BTreeMap::new();
    for (hash, key) in rows.iter().filter_map(|row| row.split_once(' ')) {
        all.entry((key.len(), key)).or_default().push(hash);
    }
    all.values_mut().for_each(|hashes| hashes.sort_unstable());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn each_kind_of_difference_is_told_by_key() {
        let source = lines(&["a 1", "b 2", "c 10", "d 3", "d 3", "e 4", "f 5"]);
        let mirror = lines(&["a 1", "x 2", "d 3", "e 4", "e 4", "f 5", "g 11"]);
        let found = compare(&source, &mirror);
        let names = |names: &[&str]| lines(names);
        assert_eq!((found.missing, found.different), (names(&["3", "10"]), names(&["2"])));
        assert_eq!((found.doubled, found.extra), (names(&["4"]), names(&["11"])));
        assert_eq!(compare(&lines(&["a 1", "b 1"]), &lines(&["b 1", "a 1"])), Difference::default());
    }

    #[test]
    fn only_groups_that_differ_are_read_and_not_too_many() {
        let groups = |groups: &[&str]| Groups::read(lines(groups)).unwrap_or_else(|error| panic!("{error}"));
        let source = groups(&["0ab 3 123", "0ac 2 7", "0ad 99999 1", "0ae 5 5"]);
        let mirror = groups(&["0ab 3 123", "0ac 2 8", "0ad 99997 1", "0af 1 5"]);
        assert_eq!((source.count, mirror.count), (100_009, 100_003));
        assert_eq!(source.differing(&mirror), (lines(&["0ac", "0ae", "0af"]), false));
        assert_eq!(groups(&["0ad 900000 1"]).differing(&groups(&[])), (lines(&["0ad"]), true), "one is always read");
        assert_eq!(source.differing(&source), (vec![], true));
        for wrong in ["", "0ab", "0ab x 1", "0ab 1", "') 1 1"] {
            assert!(Groups::read(lines(&[wrong])).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_columns_of_both_have_to_be_the_same() {
        let place = |text: &str| serde_json::from_value::<HostPort>(text.into()).unwrap();
        let (source, mirror) = (place("a.test:1"), place("b.test:2"));
        let table = Table::try_from("orders".to_owned()).unwrap();
        let read =
            |here: &[&str], there: &[&str]| columns(&table, [&source, &mirror], (lines(here), lines(there))).map_err(|error| error.to_string());
        assert_eq!(read(&["id bigint", "sum decimal(9, 2)"], &["sum double", "id int"]).unwrap()["sum"], "decimal(9, 2)");
        assert_eq!(read(&["id int"], &["id int", "note text"]).unwrap_err(), "only b.test:2 has a column note in orders");
        assert!(read(&["id int"], &[]).unwrap_err().starts_with("b.test:2: there is no table orders"));
    }
}
