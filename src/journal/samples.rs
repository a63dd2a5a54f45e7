//! The single samples of a run: an Arrow IPC stream (<https://arrow.apache.org/docs/format/Columnar.html>) beside the journal, for any program that reads Arrow. A
//! file that a crash cut off can be read up to its last whole batch.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{TimestampNanosecondType, UInt8Type, UInt32Type};
use arrow_array::{
    Array as _, BooleanArray, DictionaryArray, PrimitiveArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt8Array, UInt32Array,
};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

use super::folder::Folder;
use crate::model::event::KeptSamples;
use crate::model::format::{Format, TOOL, Unreadable, Version, check_readable};
use crate::model::time::Timestamp;
use crate::ports::samples::{Reading, Row, SampleFile};

/// How many samples make a batch, and how long they wait for that as long as others come in.
const BATCH: usize = 8192;
const WAIT: Duration = Duration::from_secs(5);

/// The words for readings, by their number in the file.
const READINGS: [&str; 3] = ["good", "bad", "unknown"];

/// The keys under which a file says which version of the format it has, and which Lifeboat wrote it. One that does not is of the first.
const VERSION: &str = "lifeboat.version";
const MADE_BY: &str = "lifeboat.tool";

/// The file's name in the folder of a run, for the `epoch`-th process that runs it.
#[must_use]
pub fn file_name(epoch: u64) -> String {
    format!("samples-{epoch}.arrows")
}

/// A file that samples are added to.
pub struct ArrowFile {
    name: String,
    sink: Sink<Hashed<BufWriter<File>>>,
    waiting: Vec<Row>,
    since: Instant,
    rows: u64,
}

impl ArrowFile {
    /// Makes the file `name` in `folder`, for the samples of `probes`: their ids, in the order of the plan.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(folder: &Path, name: &str, probes: Vec<String>) -> io::Result<Self> {
        let file = Folder::at(folder)?.replaced(name)?;
        let mut sink = Sink::new(Hashed { inner: BufWriter::new(file), hash: Sha256::new() }, probes)?;
        sink.stream.get_mut().flush()?;
        Ok(Self { name: name.to_owned(), sink, waiting: Vec::new(), since: Instant::now(), rows: 0 })
    }

    fn write(&mut self) -> io::Result<()> {
        self.since = Instant::now();
        self.rows += self.waiting.len() as u64;
        self.sink.write(&std::mem::take(&mut self.waiting))?;
        self.sink.stream.get_mut().flush()
    }
}

impl SampleFile for ArrowFile {
    fn add(&mut self, rows: &[Row]) -> io::Result<()> {
        self.waiting.extend_from_slice(rows);
        if self.waiting.len() >= BATCH || self.since.elapsed() >= WAIT { self.write() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<KeptSamples> {
        self.write()?;
        let mut hashed = self.sink.stream.into_inner().map_err(wrong)?;
        hashed.flush()?;
        hashed.inner.get_ref().sync_all()?;
        Ok(KeptSamples { file: self.name, rows: self.rows, sha256: hex::encode(hashed.hash.finalize()) })
    }
}

/// An Arrow stream of samples.
pub struct Sink<W: Write> {
    schema: Arc<Schema>,
    probes: Arc<StringArray>,
    readings: Arc<StringArray>,
    stream: StreamWriter<W>,
}

impl<W: Write> Sink<W> {
    /// One for the samples of `probes`: their ids, by their numbers in the rows.
    ///
    /// # Errors
    /// When `to` cannot be written.
    pub fn new(to: W, probes: Vec<String>) -> io::Result<Self> {
        let dictionary = |keys: DataType| DataType::Dictionary(Box::new(keys), Box::new(DataType::Utf8));
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let fields = vec![
            Field::new("probe", dictionary(DataType::UInt32), false),
            Field::new("sent", time.clone(), false),
            Field::new("first_byte", time.clone(), true),
            Field::new("done", time, false),
            Field::new("reading", dictionary(DataType::UInt8), false),
            Field::new("late", DataType::Boolean, false),
            Field::new("detail", DataType::Utf8, true),
        ];
        let about = HashMap::from([(VERSION.to_owned(), Format::Samples.current().to_string()), (MADE_BY.to_owned(), TOOL.to_owned())]);
        let schema = Arc::new(Schema::new_with_metadata(fields, about));
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).map_err(wrong)?;
        let stream = StreamWriter::try_new_with_options(to, &schema, options).map_err(wrong)?;
        let readings = Arc::new(StringArray::from(READINGS.to_vec()));
        Ok(Self { schema, probes: Arc::new(StringArray::from(probes)), readings, stream })
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, rows: &[Row]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let time = |of: fn(&Row) -> Timestamp| -> TimestampNanosecondArray { rows.iter().map(|row| Some(of(row).as_nanos())).collect() };
        let probes: UInt32Array = rows.iter().map(|row| Some(row.probe)).collect();
        let readings: UInt8Array = rows.iter().map(|row| Some(number(row.reading))).collect();
        let first_byte: TimestampNanosecondArray = rows.iter().map(|row| row.first_byte.map(Timestamp::as_nanos)).collect();
        let batch = RecordBatch::try_new(
            self.schema.clone(),
            vec![
                Arc::new(DictionaryArray::<UInt32Type>::try_new(probes, self.probes.clone()).map_err(wrong)?),
                Arc::new(time(|row| row.sent).with_timezone("UTC")),
                Arc::new(first_byte.with_timezone("UTC")),
                Arc::new(time(|row| row.done).with_timezone("UTC")),
                Arc::new(DictionaryArray::<UInt8Type>::try_new(readings, self.readings.clone()).map_err(wrong)?),
                Arc::new(rows.iter().map(|row| Some(row.late)).collect::<BooleanArray>()),
                Arc::new(rows.iter().map(|row| row.detail.as_deref()).collect::<StringArray>()),
            ],
        );
        self.stream.write(&batch.map_err(wrong)?).map_err(wrong)
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.stream.into_inner().map_err(wrong)?.flush()
    }
}

const fn number(reading: Reading) -> u8 {
    match reading {
        Reading::Good => 0,
        Reading::Bad => 1,
        Reading::Unknown => 2,
    }
}

/// Reads a file of samples batch by batch. `each` gets the ids of the probes and the samples of a batch; the result says whether the file has its end.
///
/// # Errors
/// When it cannot be opened, is no file of samples or one of a newer format ([`Unreadable`] is within), or `each` fails.
pub fn read(path: &Path, mut each: impl FnMut(&[String], Vec<Row>) -> io::Result<()>) -> io::Result<bool> {
    let file = open(path)?;
    // A power loss may leave the name without a content.
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let stream = StreamReader::try_new(BufReader::new(file), None).map_err(wrong)?;
    is_readable(&stream.schema()).map_err(|unread| io::Error::new(io::ErrorKind::Unsupported, unread))?;
    for batch in stream {
        let Ok(batch) = batch else { return Ok(false) };
        let (probes, rows) = rows(&batch).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no file of samples"))?;
        each(&probes, rows)?;
    }
    Ok(true)
}

fn is_readable(schema: &Schema) -> Result<(), Unreadable> {
    let about = schema.metadata();
    let Some(version) = about.get(VERSION) else { return Ok(()) };
    let tool = about.get(MADE_BY).map(String::as_str);
    let version: Version = version.parse().map_err(|why| Unreadable::word(Format::Samples, Format::Samples.current(), tool, why))?;
    check_readable(Format::Samples, version, tool)
}

/// Opens a file of samples, which a link is not.
fn open(path: &Path) -> io::Result<File> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(std::ffi::OsStr::to_str).ok_or_else(missing)?;
    Folder::at(folder)?.file(name, OFlags::RDONLY)
}

/// The SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
/// When it cannot be read.
pub fn digest(path: &Path) -> io::Result<String> {
    let mut file = open(path)?;
    let (mut hash, mut bytes) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&bytes[..count]),
        }
    }
}

fn rows(batch: &RecordBatch) -> Option<(Vec<String>, Vec<Row>)> {
    let column = |name: &str| batch.column_by_name(name);
    let probes = column("probe")?.as_dictionary_opt::<UInt32Type>()?;
    let ids: Vec<String> = probes.values().as_string_opt::<i32>()?.iter().map(|id| id.unwrap_or_default().to_owned()).collect();
    let time = |name: &str| column(name)?.as_primitive_opt::<TimestampNanosecondType>();
    let (sent, first_byte, done) = (time("sent")?, time("first_byte")?, time("done")?);
    let readings = column("reading")?.as_dictionary_opt::<UInt8Type>()?.keys();
    let (late, detail) = (column("late")?.as_boolean_opt()?, column("detail")?.as_string_opt::<i32>()?);
    let at = |times: &PrimitiveArray<TimestampNanosecondType>, row: usize| Timestamp::from_nanos(times.value(row));
    let row = |row: usize| {
        let reading = match readings.value(row) {
            0 => Reading::Good,
            1 => Reading::Bad,
            2 => Reading::Unknown,
            _ => return None,
        };
        Some(Row {
            probe: probes.keys().value(row),
            sent: at(sent, row),
            first_byte: first_byte.is_valid(row).then(|| at(first_byte, row)),
            done: at(done, row),
            reading,
            late: late.value(row),
            detail: detail.is_valid(row).then(|| detail.value(row).to_owned()),
        })
    };
    Some((ids, (0..batch.num_rows()).map(row).collect::<Option<_>>()?))
}

/// The word for a reading.
#[must_use]
pub fn word(reading: Reading) -> &'static str {
    READINGS[usize::from(number(reading))]
}

fn wrong(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

/// Hashes what it writes.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn row(probe: u32, millis: i64, reading: Reading) -> Row {
        let at = |millis: i64| Timestamp::from_nanos(1_795_000_000_000_000_000 + millis * 1_000_000);
        let is_good = reading == Reading::Good;
        Row {
            probe,
            sent: at(millis),
            first_byte: is_good.then(|| at(millis + 2)),
            done: at(millis + 3),
            reading,
            late: millis % 7 == 0,
            detail: (!is_good).then(|| "127.0.0.1:80: connection refused".to_owned()),
        }
    }

    fn rows(count: i64) -> Vec<Row> {
        let reading = |index: i64| [Reading::Good, Reading::Good, Reading::Bad, Reading::Unknown][usize::try_from(index % 4).unwrap()];
        (0..count).map(|index| row(u32::try_from(index % 2).unwrap(), index * 10, reading(index))).collect()
    }

    fn written(folder: &Path, all: &[Row]) -> KeptSamples {
        let mut file = Box::new(ArrowFile::create(folder, "samples-1.arrows", vec!["a".into(), "b".into()]).unwrap());
        all.chunks(1000).for_each(|chunk| file.add(chunk).unwrap());
        file.finish().unwrap()
    }

    fn read_all(path: &Path) -> (Vec<Row>, bool) {
        let mut found = Vec::new();
        let whole = read(path, |probes, rows| {
            assert_eq!(probes, ["a", "b"]);
            found.extend(rows);
            Ok(())
        });
        (found, whole.unwrap())
    }

    #[test]
    fn what_is_written_is_read_and_is_small() {
        let folder = tempfile::tempdir().unwrap();
        let all = rows(20_000);
        let kept = written(folder.path(), &all);
        let path = folder.path().join(&kept.file);
        assert_eq!((kept.rows, digest(&path).unwrap()), (20_000, kept.sha256));
        assert_eq!(read_all(&path), (all, true));
        let bytes = path.metadata().unwrap().len();
        assert!(bytes < 20_000 * 24, "{bytes} bytes");
    }

    #[test]
    fn a_file_that_was_cut_off_reads_up_to_its_last_batch() {
        let folder = tempfile::tempdir().unwrap();
        let all = rows(20_000);
        let path = folder.path().join(written(folder.path(), &all).file);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(path.metadata().unwrap().len() * 3 / 4).unwrap();
        let (found, whole) = read_all(&path);
        assert!(!whole && !found.is_empty() && found == all[..found.len()], "{} rows", found.len());
        file.set_len(0).unwrap();
        assert_eq!(read_all(&path), (Vec::new(), false));
    }
}
