//! Who does what next: pieces of tables first, the biggest table first; then what is built on tables that are complete.
//! Pure: workers ask for a job, do it, and say that it is done.

use super::chunk::Blocks;

/// What is read at once, in one transaction at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A table.
    Whole,
    /// A range of a table's blocks.
    Blocks(Blocks),
    /// A range of a giant's key, by its number.
    Range(u32),
}

/// One table's part in the work.
#[derive(Debug)]
pub(super) struct Plan {
    /// Size for the order.
    pub(super) bytes: u64,
    /// What is to be read.
    pub(super) reading: Reading,
    /// How many indexes are to be built.
    pub(super) builds: usize,
}

impl Plan {
    /// How many workers could be busy with it at once, at most.
    pub(super) fn jobs(&self) -> usize {
        let pieces = match &self.reading {
            Reading::Nothing => 0,
            Reading::Whole => 1,
            Reading::Chunks(chunks) => chunks.len(),
            Reading::Ranges(ranges) => ranges.len(),
        };
        pieces.max(self.builds).max(1)
    }
}

/// What of a table is to be read.
#[derive(Debug)]
pub(super) enum Reading {
    /// Its rows are there.
    Nothing,
    /// In one piece.
    Whole,
    /// In ranges of blocks, all in one snapshot.
    Chunks(Vec<Blocks>),
    /// In these ranges of its key, each in whatever snapshot it comes to.
    Ranges(Vec<u32>),
}

/// Something for one worker; tables and builds by their place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Copy a table, or a part of it.
    Copy { table: usize, piece: Piece },
    /// Build an index, with so many helpers at the server.
    Build { table: usize, build: usize, helpers: usize },
    /// Add the constraints whose indexes are built, and analyze.
    Settle { table: usize },
}

impl Job {
    /// The same job with the table's place in a longer list, of which the board has the tables at `places`.
    pub(super) fn on(self, places: &[usize]) -> Self {
        match self {
            Self::Copy { table, piece } => Self::Copy { table: places[table], piece },
            Self::Build { table, build, helpers } => Self::Build { table: places[table], build, helpers },
            Self::Settle { table } => Self::Settle { table: places[table] },
        }
    }
}

/// The answer to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Do(Job),
    /// Something that others do must end first.
    Wait,
    /// Nothing is left, or nothing that may be begun.
    Over,
}

#[derive(Debug)]
struct Table {
    pieces: Vec<Piece>,
    copying: usize,
    begun: bool,
    /// Its pieces may be read in several snapshots.
    apart: bool,
    builds: usize,
    built_next: usize,
    building: usize,
    settling: Settling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settling {
    Open,
    Running,
    Done,
}

impl Table {
    fn is_complete(&self) -> bool {
        self.pieces.is_empty() && self.copying == 0
    }
}

/// The state of all tables.
#[derive(Debug)]
pub(super) struct Board {
    tables: Vec<Table>,
    /// Places of the tables, the biggest first.
    order: Vec<usize>,
    jobs: usize,
    helpers: usize,
    /// A piece was handed out.
    handed: bool,
    /// No table and no range is begun any more: the snapshot is too old.
    closed: bool,
}

impl Board {
    pub(super) fn new(plans: Vec<Plan>, jobs: usize) -> Self {
        let mut order: Vec<usize> = (0..plans.len()).collect();
        order.sort_by_key(|place| std::cmp::Reverse(plans[*place].bytes));
        let tables = plans.into_iter().map(|plan| Table {
            begun: matches!(plan.reading, Reading::Nothing),
            apart: matches!(plan.reading, Reading::Ranges(_)),
            pieces: match plan.reading {
                Reading::Nothing => Vec::new(),
                Reading::Whole => vec![Piece::Whole],
                Reading::Chunks(chunks) => chunks.into_iter().rev().map(Piece::Blocks).collect(),
                Reading::Ranges(ranges) => ranges.into_iter().rev().map(Piece::Range).collect(),
            },
            copying: 0,
            builds: plan.builds,
            built_next: 0,
            building: 0,
            settling: Settling::Open,
        });
        Self { tables: tables.collect(), order, jobs, helpers: 0, handed: false, closed: false }
    }

    /// Lets no further table be begun, once one has been: tables in work are finished in the snapshot they were begun in.
    /// Of a giant no further range is begun.
    pub(super) fn close(&mut self) {
        self.closed |= self.handed;
    }

    /// True when nobody will begin another piece: a worker that has ended its own no longer needs the source.
    pub(super) fn is_handed_out(&self) -> bool {
        self.tables.iter().all(|table| table.pieces.is_empty() || self.is_left(table))
    }

    /// True when, in addition, all pieces have been read.
    pub(super) fn is_read(&self) -> bool {
        self.is_handed_out() && self.tables.iter().all(|table| table.copying == 0)
    }

    /// The tables that were not begun before it was closed, and giants of which ranges are left.
    pub(super) fn left(&self) -> Vec<usize> {
        (0..self.tables.len()).filter(|place| self.is_left(&self.tables[*place])).collect()
    }

    fn is_left(&self, table: &Table) -> bool {
        self.closed && (!table.begun || (table.apart && !table.pieces.is_empty()))
    }

    pub(super) fn next(&mut self) -> Next {
        let job = self.next_piece().or_else(|| self.next_settling()).or_else(|| self.next_build());
        match job {
            Some(job) => Next::Do(job),
            None if self
                .tables
                .iter()
                .all(|table| self.is_left(table) || table.settling == Settling::Done) =>
            {
                Next::Over
            }
            None => Next::Wait,
        }
    }

    fn next_piece(&mut self) -> Option<Job> {
        let closed = self.closed;
        let may = |table: &Table| !table.pieces.is_empty() && (!closed || (table.begun && !table.apart));
        let place = self.order.iter().copied().find(|place| may(&self.tables[*place]))?;
        let table = &mut self.tables[place];
        let piece = table.pieces.pop()?;
        (table.begun, table.copying) = (true, table.copying + 1);
        self.handed = true;
        Some(Job::Copy { table: place, piece })
    }

    fn next_settling(&mut self) -> Option<Job> {
        let ready = |table: &Table| {
            let built = table.built_next == table.builds && table.building == 0;
            table.is_complete() && built && table.settling == Settling::Open
        };
        let place = self.order.iter().copied().find(|place| ready(&self.tables[*place]))?;
        self.tables[place].settling = Settling::Running;
        Some(Job::Settle { table: place })
    }

    fn next_build(&mut self) -> Option<Job> {
        let ready = |table: &Table| table.is_complete() && table.built_next < table.builds;
        let place = self.order.iter().copied().find(|place| ready(&self.tables[*place]))?;
        // Helpers only where jobs would be idle otherwise: one process does the same work for less.
        let busy: usize = self.tables.iter().map(|table| table.copying + table.building).sum();
        let waiting: usize = self.tables.iter().map(|table| table.builds - table.built_next).sum();
        let helpers = self.jobs.saturating_sub(busy + self.helpers + waiting) / waiting.max(1);
        self.helpers += helpers;
        let table = &mut self.tables[place];
        let build = table.built_next;
        (table.built_next, table.building) = (build + 1, table.building + 1);
        Some(Job::Build { table: place, build, helpers })
    }

    pub(super) fn done(&mut self, job: Job) {
        match job {
            Job::Copy { table, .. } => self.tables[table].copying -= 1,
            Job::Build { table, helpers, .. } => {
                self.tables[table].building -= 1;
                self.helpers -= helpers;
            }
            Job::Settle { table } => self.tables[table].settling = Settling::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: u64, builds: usize) -> Plan {
        Plan { bytes, reading: Reading::Whole, builds }
    }

    fn chunks(bytes: u64, builds: usize) -> Plan {
        Plan { bytes, reading: Reading::Chunks(super::super::chunk::divide(100, 4, 1)), builds }
    }

    fn copied(plans: Vec<Plan>, jobs: usize) -> Board {
        let mut board = Board::new(plans, jobs);
        while let Next::Do(job @ Job::Copy { .. }) = board.next() {
            board.done(job);
        }
        board
    }

    fn kind(next: Next) -> String {
        match next {
            Next::Do(Job::Copy { table, piece: Piece::Whole }) => format!("copy {table}"),
            Next::Do(Job::Copy { table, piece: Piece::Blocks(_) }) => format!("copy {table}+"),
            Next::Do(Job::Copy { table, piece: Piece::Range(number) }) => format!("copy {table}/{number}"),
            Next::Do(Job::Build { table, build, helpers }) => {
                format!("build {table}.{build} helpers {helpers}")
            }
            Next::Do(Job::Settle { table }) => format!("settle {table}"),
            other => format!("{other:?}"),
        }
    }

    /// One worker does everything, in this order.
    fn check(plans: Vec<Plan>, expected: &[&str]) {
        let mut board = Board::new(plans, 1);
        let mut order = Vec::new();
        loop {
            let next = board.next();
            order.push(kind(next));
            match next {
                Next::Do(job) => board.done(job),
                Next::Wait | Next::Over => break,
            }
        }
        assert_eq!(order, expected);
    }

    #[test]
    fn the_biggest_table_comes_first_and_indexes_after_all_rows() {
        check(
            vec![whole(1, 1), chunks(9, 2)],
            &[
                "copy 1+",
                "copy 1+",
                "copy 1+",
                "copy 1+",
                "copy 0",
                "build 1.0 helpers 0",
                "build 1.1 helpers 0",
                "settle 1",
                "build 0.0 helpers 0",
                "settle 0",
                "Over",
            ],
        );
    }

    #[test]
    fn a_table_that_is_there_gets_its_indexes_only() {
        let there = Plan { bytes: 5, reading: Reading::Nothing, builds: 1 };
        check(vec![there, whole(1, 0)], &["copy 1", "settle 1", "build 0.0 helpers 0", "settle 0", "Over"]);
    }

    #[test]
    fn indexes_of_a_complete_table_are_built_while_another_is_copied() {
        let mut board = Board::new(vec![whole(9, 1), whole(1, 1)], 2);
        let Next::Do(big) = board.next() else { panic!() };
        let Next::Do(small) = board.next() else { panic!() };
        assert!(board.is_handed_out() && !board.is_read());
        assert_eq!(board.next(), Next::Wait);
        board.done(small);
        assert_eq!(kind(board.next()), "build 1.0 helpers 0");
        assert_eq!(board.next(), Next::Wait);
        board.done(big);
        assert!(board.is_read());
        assert_eq!(kind(board.next()), "build 0.0 helpers 0");
    }

    #[test]
    fn nothing_is_built_before_the_last_chunk_is_committed() {
        let mut board = Board::new(vec![chunks(9, 1)], 4);
        let pieces: Vec<Next> = (0..4).map(|_| board.next()).collect();
        for piece in pieces {
            assert_eq!(board.next(), Next::Wait);
            let Next::Do(job) = piece else { panic!("{piece:?}") };
            board.done(job);
        }
        assert_eq!(kind(board.next()), "build 0.0 helpers 3");
    }

    #[test]
    fn helpers_share_the_jobs_that_would_be_idle() {
        let mut board = copied(vec![whole(9, 3)], 8);
        // The first was handed out by the loop that copied.
        assert_eq!(kind(board.next()), "build 0.1 helpers 2");
        let sum: usize = board.helpers + board.tables[0].building;
        assert!(sum <= 8, "{sum}");
        let mut board =
            Board::new((0..6).map(|_| Plan { bytes: 1, reading: Reading::Nothing, builds: 1 }).collect(), 4);
        assert_eq!(kind(board.next()), "build 0.0 helpers 0");
    }

    #[test]
    fn a_closed_board_finishes_what_was_begun_and_leaves_the_rest() {
        let mut board = Board::new(vec![chunks(9, 1), whole(5, 1)], 1);
        board.close();
        assert_eq!(kind(board.next()), "copy 0+", "one table at least is begun in every snapshot");
        board.close();
        board.done(Job::Copy { table: 0, piece: Piece::Whole });
        for expected in ["copy 0+", "copy 0+", "copy 0+", "build 0.0 helpers 0", "settle 0", "Over"] {
            let next = board.next();
            assert_eq!(kind(next), expected);
            if let Next::Do(job) = next {
                board.done(job);
            }
        }
        assert_eq!(board.left(), [1]);
        assert!(board.is_read());
    }

    #[test]
    fn a_closed_board_leaves_the_ranges_that_were_not_begun() {
        let ranges = Plan { bytes: 9, reading: Reading::Ranges(vec![2, 3, 7]), builds: 1 };
        let mut board = Board::new(vec![whole(5, 0), ranges], 2);
        let Next::Do(first) = board.next() else { panic!() };
        assert_eq!(kind(Next::Do(first)), "copy 1/2");
        assert_eq!(kind(board.next()), "copy 1/3");
        board.close();
        assert!(board.is_handed_out() && !board.is_read());
        assert_eq!(board.next(), Next::Over);
        board.done(first);
        board.done(Job::Copy { table: 1, piece: Piece::Range(3) });
        assert!(board.is_read());
        assert_eq!(board.left(), [0, 1]);
    }

    #[test]
    fn a_giant_gets_its_indexes_when_its_last_range_is_there() {
        let ranges = Plan { bytes: 9, reading: Reading::Ranges(vec![7]), builds: 1 };
        let mut board = Board::new(vec![whole(5, 0), ranges], 2);
        let Next::Do(last) = board.next() else { panic!() };
        board.close();
        assert_eq!(board.next(), Next::Wait);
        board.done(last);
        for expected in ["build 1.0 helpers 1", "settle 1", "Over"] {
            let next = board.next();
            assert_eq!(kind(next), expected);
            if let Next::Do(job) = next {
                board.done(job);
            }
        }
        assert_eq!(board.left(), [0]);
    }
}
