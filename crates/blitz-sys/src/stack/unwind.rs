//! From a copy of registers and stack to the calls that led there, by the tables that every program carries for panics.
//!
//! `gimli` reads the tables, in memory. All that is believed of them is checked against the copy, and a walk that leaves it, or
//! makes no way, ends there. Where there is no table a frame pointer is followed, if there is one.

use std::slice;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, NativeEndian, Register, RegisterRule,
    UnwindContext, UnwindSection, UnwindTableRow,
};

use super::Stack;
use super::copy::Copy;
use super::machine::{CODE, FP, PC, RETURN, Registers, SP};

const FRAMES_MAX: usize = 128;

/// What one function's table, or frame, says about its caller.
enum Step {
    Caller(Registers),
    /// There is none: the thread began here.
    Begin,
    /// Unknown.
    Lost,
}

/// The calls, from the innermost on.
pub(super) fn walk(copy: &Copy) -> Stack {
    let piece = Piece {
        top: copy.registers[SP],
        bytes: copy.bytes(),
    };
    let mut now = copy.registers;
    let mut addresses = Vec::new();
    let mut is_whole = false;
    while addresses.len() < FRAMES_MAX {
        let is_first = addresses.is_empty();
        // A call returns behind itself, maybe to where the next function begins.
        let within = now[PC].wrapping_sub(u64::from(!is_first));
        addresses.push(within as usize);
        let step = match Module::step(within, &now, &piece) {
            Some(step) => step,
            None if is_first => by_stub(&now, &piece).unwrap_or_else(|| by_frame(&now, &piece)),
            // So the machines' conventions mark a thread's first function for whoever has no table to say it, as musl's has none.
            None if now[FP] == 0 => Step::Begin,
            None => by_frame(&now, &piece),
        };
        match step {
            // A leaf of some machines has no frame of its own.
            Step::Caller(next) if next[SP] > now[SP] || is_first && next[SP] == now[SP] => {
                now = next
            }
            Step::Begin => {
                is_whole = true;
                break;
            }
            _ => break,
        }
        if now[PC] == 0 {
            is_whole = true;
            break;
        }
    }
    Stack {
        addresses,
        is_whole,
    }
}

/// The copied piece of a stack.
struct Piece<'a> {
    /// The address from which it was copied.
    top: u64,
    bytes: &'a [u8],
}

impl Piece<'_> {
    fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.top)?).ok()?;
        let word = self.bytes.get(at..at.checked_add(8)?)?;
        word.try_into().ok().map(u64::from_ne_bytes)
    }
}

/// In a piece of code that the linker made to reach another library, which has no table: it has put nothing on the stack, so who
/// called it is where a call leaves that. `None` if no table knows a caller there.
fn by_stub(now: &Registers, piece: &Piece<'_>) -> Option<Step> {
    let mut next = *now;
    if cfg!(target_arch = "x86_64") {
        next[PC] = piece.word(now[SP])?;
        next[SP] = now[SP].wrapping_add(8);
    } else {
        next[PC] = now[RETURN] & CODE;
    }
    let is_known = Module::step(next[PC].wrapping_sub(1), &next, piece).is_some();
    is_known.then_some(Step::Caller(next))
}

/// By the frame pointer: both machines keep the caller's and the address to return to there.
fn by_frame(now: &Registers, piece: &Piece<'_>) -> Step {
    let frame = now[FP];
    let (Some(before), Some(back)) = (piece.word(frame), piece.word(frame.wrapping_add(8))) else {
        return Step::Lost;
    };
    let mut next = *now;
    next[FP] = before;
    next[PC] = back & CODE;
    next[SP] = frame.wrapping_add(16);
    Step::Caller(next)
}

/// What a table says, applied.
fn by_row(row: &UnwindTableRow<usize>, now: &Registers, piece: &Piece<'_>) -> Step {
    let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else {
        return Step::Lost;
    };
    let Some(base) = now.get(usize::from(register.0)) else {
        return Step::Lost;
    };
    let frame = base.wrapping_add_signed(*offset);
    let mut next = *now;
    for (number, next) in next.iter_mut().enumerate() {
        let value = match row.register(Register(number as u16)) {
            None | Some(RegisterRule::SameValue) => continue,
            Some(RegisterRule::Undefined) if number == RETURN => return Step::Begin,
            Some(RegisterRule::Undefined) => continue,
            Some(RegisterRule::Offset(offset)) => piece.word(frame.wrapping_add_signed(offset)),
            Some(RegisterRule::ValOffset(offset)) => Some(frame.wrapping_add_signed(offset)),
            Some(RegisterRule::Register(other)) => now.get(usize::from(other.0)).copied(),
            Some(RegisterRule::Constant(value)) => Some(value),
            Some(_) => None,
        };
        match value {
            Some(value) => *next = value,
            None if number == RETURN => return Step::Lost,
            // Most callers do without most registers.
            None => {}
        }
    }
    next[PC] = next[RETURN] & CODE;
    next[SP] = frame;
    Step::Caller(next)
}

/// A search among what is loaded: the program and its libraries.
struct Module<'a> {
    address: u64,
    now: &'a Registers,
    piece: &'a Piece<'a>,
    step: Option<Step>,
}

/// A piece of a program that is in memory.
#[derive(Clone, Copy)]
struct Segment {
    begin: u64,
    end: u64,
}

impl Segment {
    fn has(self, address: u64) -> bool {
        (self.begin..self.end).contains(&address)
    }

    /// The memory from `address` to the end.
    ///
    /// # Safety
    /// The segment is loaded, and stays so for `'a`.
    unsafe fn from<'a>(self, address: u64) -> Option<&'a [u8]> {
        let len = self.has(address).then_some(self.end - address)? as usize;
        // SAFETY: as the caller says; tables of a program are not written to after it was loaded.
        Some(unsafe {
            slice::from_raw_parts(std::ptr::with_exposed_provenance(address as usize), len)
        })
    }
}

impl Module<'_> {
    /// The step from the function that `address` lies in. `None` if no table has it.
    fn step(address: u64, now: &Registers, piece: &Piece<'_>) -> Option<Step> {
        let mut search = Module {
            address,
            now,
            piece,
            step: None,
        };
        // SAFETY: the callback gets this very `search`, which nobody else touches meanwhile.
        unsafe { libc::dl_iterate_phdr(Some(look_at), (&raw mut search).cast()) };
        search.step
    }

    /// Looks at one module. True if the address is in it. Within the loader's callback, so the module stays where it is.
    fn look_at(&mut self, info: &libc::dl_phdr_info) -> bool {
        let count = usize::from(info.dlpi_phnum);
        if info.dlpi_phdr.is_null() || count == 0 {
            return false;
        }
        // SAFETY: the loader's own list, of as many.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, count) };
        #[allow(
            clippy::unnecessary_cast,
            reason = "the fields' types are the system's"
        )]
        let segment = |header: &libc::Elf64_Phdr| {
            let begin = (info.dlpi_addr as u64).wrapping_add(header.p_vaddr as u64);
            Segment {
                begin,
                end: begin.saturating_add(header.p_memsz as u64),
            }
        };
        let of = |kind| {
            let headers = headers.iter().filter(move |header| header.p_type == kind);
            headers.map(segment)
        };
        if !of(libc::PT_LOAD).any(|segment| segment.has(self.address)) {
            return false;
        }
        let index = of(libc::PT_GNU_EH_FRAME).next();
        let loaded = |address| of(libc::PT_LOAD).find(|segment| segment.has(address));
        self.step = index.and_then(|index| self.read(index, loaded));
        true
    }

    /// Reads the module's index, then its table, and takes the step that it says.
    fn read(&self, index: Segment, loaded: impl Fn(u64) -> Option<Segment>) -> Option<Step> {
        // SAFETY: the module is loaded, and the caller's callback keeps it so.
        let header = unsafe { index.from(index.begin) }?;
        let bases = BaseAddresses::default().set_eh_frame_hdr(index.begin);
        let header = EhFrameHdr::new(header, NativeEndian);
        let header = header.parse(&bases, 8).ok()?;
        let gimli::Pointer::Direct(table) = header.eh_frame_ptr() else {
            return None;
        };
        // SAFETY: as above. Its end is not known; the walk through it goes by what the index says.
        let frames = unsafe { loaded(table)?.from(table) }?;
        let frames: EhFrame<EndianSlice<'_, NativeEndian>> = EhFrame::new(frames, NativeEndian);
        let bases = bases.set_eh_frame(table);
        let mut context = UnwindContext::new();
        let row = header.table()?.unwind_info_for_address(
            &frames,
            &bases,
            &mut context,
            self.address,
            EhFrame::cie_from_offset,
        );
        Some(by_row(row.ok()?, self.now, self.piece))
    }
}

/// For the loader, once for each module, until it answers that it has found it.
unsafe extern "C" fn look_at(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    search: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `step` handed it in, for this.
    let search = unsafe { &mut *search.cast::<Module<'_>>() };
    // SAFETY: the loader's, for as long as the callback runs.
    let info = unsafe { &*info };
    libc::c_int::from(search.look_at(info))
}
