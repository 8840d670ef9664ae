/* Classic BPF programs that the kernel runs for us; see packet_socket.h.
 *
 * Filters of a socket see a frame from its Ethernet header on, those of a fan-out from its IPv4
 * header on. Both read with offsets from there: what lies in the frame's later pages, as in frames
 * that come from a transmit ring, is read only so. A load behind the frame's end ends a program
 * with 0: a filter refuses, a fan-out chooses worker 0. */
#include <linux/filter.h>

#include "base/assert.h"
#include "link/packet_socket.h"

#define ACCEPT_WHOLE 0xffffffffu
#define IP_TARGET (LINK_ETHER_BYTES + 16)

#define IP_PROTOCOL 9
#define IP_FRAGMENT 6        /* flags and offset */
#define ANY_FRAGMENT 0x3fffu /* RFC 791: "more fragments" or an offset */
#define FRAGMENT_OFFSET 0x1fffu
#define PROTOCOL_ICMP 1
#define PROTOCOL_TCP 6
#define SOURCE_PORT 0
#define TARGET_PORT 2
#define ICMP_UNREACHABLE 3 /* RFC 792: the types that quote a packet */
#define ICMP_REDIRECT 5
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define QUOTE 8 /* where in an ICMP error the quoted packet begins */

static struct sock_filter *add(struct packet_program *program, int code, uint32_t operand)
{
    ASSERT(program->count < PACKET_PROGRAM_MAX);
    struct sock_filter *made = &program->code[program->count++];
    *made = (struct sock_filter){.code = (uint16_t)code, .k = operand};
    return made;
}

/* Adds "return `result` when the accumulator compares so", else goes on. */
static void return_if(struct packet_program *program, int comparison, uint32_t operand,
                      uint32_t result)
{
    add(program, BPF_JMP | comparison | BPF_K, operand)->jf = 1;
    add(program, BPF_RET | BPF_K, result);
}

static void return_unless(struct packet_program *program, int comparison, uint32_t operand,
                          uint32_t result)
{
    add(program, BPF_JMP | comparison | BPF_K, operand)->jt = 1;
    add(program, BPF_RET | BPF_K, result);
}

void packet_program_nothing(struct packet_program *program)
{
    program->count = 0;
    add(program, BPF_RET | BPF_K, 0);
}

void packet_program_all(struct packet_program *program)
{
    program->count = 0;
    add(program, BPF_RET | BPF_K, ACCEPT_WHOLE);
}

void packet_program_addresses(struct packet_program *program, uint32_t first, uint32_t last)
{
    program->count = 0;
    add(program, BPF_LD | BPF_W | BPF_ABS, IP_TARGET);
    return_unless(program, BPF_JGE, first, 0);
    return_if(program, BPF_JGT, last, 0);
    add(program, BPF_RET | BPF_K, ACCEPT_WHOLE);
}

/* Adds "return the port at X + offset, modulo workers". */
static void return_port(struct packet_program *program, uint32_t offset, uint32_t workers)
{
    add(program, BPF_LD | BPF_H | BPF_IND, offset);
    add(program, BPF_ALU | BPF_MOD | BPF_K, workers);
    add(program, BPF_RET | BPF_A, 0);
}

/* Goes on only for an ICMP type, in the accumulator, that quotes a packet. */
static void require_quoting_type(struct packet_program *program)
{
    return_if(program, BPF_JGT, ICMP_PARAMETER_PROBLEM, 0);
    return_unless(program, BPF_JGE, ICMP_UNREACHABLE, 0);
    add(program, BPF_JMP | BPF_JGT | BPF_K, ICMP_REDIRECT)->jf = 2; /* the next is not for them */
    return_unless(program, BPF_JGE, ICMP_TIME_EXCEEDED, 0);
}

/* X is the outer IPv4 header's length. What is quoted was sent by us, so its source is local. */
static void steer_by_quote(struct packet_program *program, enum link_steer steer, uint32_t workers)
{
    add(program, BPF_LD | BPF_B | BPF_IND, 0);
    require_quoting_type(program);
    add(program, BPF_LD | BPF_H | BPF_IND, QUOTE + IP_FRAGMENT);
    return_if(program, BPF_JSET, FRAGMENT_OFFSET, 0);
    add(program, BPF_LD | BPF_B | BPF_IND, QUOTE + IP_PROTOCOL);
    return_unless(program, BPF_JEQ, PROTOCOL_TCP, 0);
    add(program, BPF_LD | BPF_B | BPF_IND, QUOTE);
    add(program, BPF_ALU | BPF_AND | BPF_K, 0x0f);
    add(program, BPF_ALU | BPF_LSH | BPF_K, 2);
    add(program, BPF_ALU | BPF_ADD | BPF_X, 0);
    add(program, BPF_MISC | BPF_TAX, 0);
    return_port(program, QUOTE + (steer == LINK_STEER_LOCAL_PORT ? SOURCE_PORT : TARGET_PORT),
                workers);
}

void packet_program_steer(struct packet_program *program, enum link_steer steer, uint32_t workers)
{
    program->count = 0;
    add(program, BPF_LD | BPF_H | BPF_ABS, IP_FRAGMENT);
    return_if(program, BPF_JSET, ANY_FRAGMENT, 0);
    add(program, BPF_LDX | BPF_B | BPF_MSH, 0);
    add(program, BPF_LD | BPF_B | BPF_ABS, IP_PROTOCOL);
    add(program, BPF_JMP | BPF_JEQ | BPF_K, PROTOCOL_TCP)->jf = 3; /* over return_port */
    return_port(program, steer == LINK_STEER_LOCAL_PORT ? TARGET_PORT : SOURCE_PORT, workers);
    return_unless(program, BPF_JEQ, PROTOCOL_ICMP, 0);
    steer_by_quote(program, steer, workers);
}
