/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>
#include <asm/smap.h>

#ifndef RET
#define RET ret
#endif

/*
 * A task comes here in the place of the instruction that it is to be held at. That one's address is
 * on the stack, as if it had called us: there it goes on, with all registers and flags as they were.
 */
SYM_CODE_START(delay_enter)
	pushq	%rbp
	movq	%rsp, %rbp
	pushfq
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	cld
	ASM_CLAC
	andq	$-16, %rsp
	call	delay_hold
	leaq	-80(%rbp), %rsp
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	popfq
	popq	%rbp
	RET
SYM_CODE_END(delay_enter)
