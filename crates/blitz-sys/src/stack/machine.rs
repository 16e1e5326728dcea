//! Registers, by the numbers that the tables for unwinding use, and how a signal finds them.

/// All that is kept.
pub(super) const COUNT: usize = if cfg!(target_arch = "x86_64") { 17 } else { 33 };
/// The instruction.
pub(super) const PC: usize = if cfg!(target_arch = "x86_64") { 16 } else { 32 };
/// The stack's top.
pub(super) const SP: usize = if cfg!(target_arch = "x86_64") { 7 } else { 31 };
/// The frame, in functions that keep one.
pub(super) const FP: usize = if cfg!(target_arch = "x86_64") { 6 } else { 29 };
/// Where the tables say what a function returns to.
pub(super) const RETURN: usize = if cfg!(target_arch = "x86_64") { 16 } else { 30 };
/// The bits of an address of code; on the other machine pointers may be signed above them.
pub(super) const CODE: u64 = if cfg!(target_arch = "x86_64") {
    u64::MAX
} else {
    (1 << 48) - 1
};

pub(super) type Registers = [u64; COUNT];

/// The registers of what a signal has interrupted. In a handler.
#[cfg(target_arch = "x86_64")]
pub(super) fn interrupted(context: &libc::ucontext_t) -> Registers {
    const ORDER: [libc::c_int; COUNT] = [
        libc::REG_RAX,
        libc::REG_RDX,
        libc::REG_RCX,
        libc::REG_RBX,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_RBP,
        libc::REG_RSP,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
        libc::REG_RIP,
    ];
    ORDER.map(|place| context.uc_mcontext.gregs[place as usize] as u64)
}

/// The registers of what a signal has interrupted. In a handler.
#[cfg(target_arch = "aarch64")]
pub(super) fn interrupted(context: &libc::ucontext_t) -> Registers {
    let machine = &context.uc_mcontext;
    let mut registers = [0; COUNT];
    for (to, from) in registers.iter_mut().zip(&machine.regs) {
        *to = *from as u64;
    }
    registers[SP] = machine.sp as u64;
    registers[PC] = machine.pc as u64;
    registers
}
