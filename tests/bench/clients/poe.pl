#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# POE::Component::Client::TCP, a component for each connection, as its documentation shows it, with
# what makes it faster: the poll loop, a line filter that need not guess the line end, one set of
# callbacks for all, and an alarm that looks, when it is due, how long input has been missing: to set
# one anew for each line takes time by the number of alarms. Run by tests/bench/run.
use strict;
use warnings;
use POE::Kernel { loop => 'IO_Poll' };
use POE qw(Component::Client::TCP Filter::Line Filter::Stream);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant LINE => 'ping 0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRS';
use constant { CONNECT_TIMEOUT_S => 30, INPUT_TIMEOUT_S => 300 };

my %job = (timeouts => 1, operations => 0, map { split /=/, $_, 2 } @ARGV);
my ($work, $port, $connections, $timeouts) = @job{qw(work port connections timeouts)};
my $per_connection = int($job{operations} / $connections);
my $expected       = $per_connection * $connections;
my ($operations, $bytes, $memory, $started, $ended) = (0, 0, 0, 0, 0);
my ($last_line, @open, @begin) = ('');

sub taken { my ($user, $system) = times; return ($user, $system, clock_gettime(CLOCK_MONOTONIC)) }

sub anonymous_memory {
    open my $file, '<', '/proc/self/smaps_rollup' or die "smaps_rollup: $!";
    /^Anonymous:\s+(\d+)/ and return $1 * 1024 while <$file>;
    die "smaps_rollup has no line Anonymous";
}

# Does not wait until POE has taken all its sessions apart.
sub report {
    my ($errors) = @_;
    my @end = taken();
    $operations = $bytes if $work eq 'bulk';
    printf '{"operations":%d,"bytes":%d,"errors":%d,"cpu_user_s":%.6f,"cpu_system_s":%.6f,'
        . qq("wall_s":%.6f,"memory_bytes":%d}\n),
        $operations, $bytes, $errors, (map { $end[$_] - $begin[$_] } 0 .. 2), $memory;
    close STDOUT;
    kill KILL => $$;
}

my %input = (
    storm => sub {
        my ($kernel, $line) = @_[KERNEL, ARG0];
        $line eq LINE or report(1);
        $operations++;
        $bytes += 2 + length $line;
        $kernel->yield('shutdown');
    },
    pingpong => sub {
        my ($heap, $line) = @_[HEAP, ARG0];
        $line eq LINE or report(1);
        $operations++;
        $bytes += 2 + length $line;
        if    (--$heap->{left} > 0)      { $heap->{server}->put(LINE) }
        elsif ($operations == $expected) { report(0) }
    },
    lines => sub {
        my $line = $_[ARG0];
        $line ne $last_line or report(1);
        $last_line = $line;
        $operations++;
        $bytes += 2 + length $line;
    },
    bulk => sub { $bytes += length $_[ARG0] },
    idle => sub { report(1) },
);
my $handler = $input{$work} or die "what is work=$work?";
my $filter =
    $work eq 'bulk'
    ? sub { POE::Filter::Stream->new }
    : sub { POE::Filter::Line->new(Literal => "\x0D\x0A") };

sub on_input {
    $_[HEAP]{input_time} = time if $timeouts;
    goto &$handler;
}

sub on_input_alarm {
    my ($kernel, $heap) = @_[KERNEL, HEAP];
    my $left = $heap->{input_time} + INPUT_TIMEOUT_S - time;
    $left > 0 or report(1);
    $heap->{input_alarm} = $kernel->delay_set(input_alarm => $left);
}

sub on_connected {
    my ($kernel, $heap) = @_[KERNEL, HEAP];
    if ($timeouts) {
        $heap->{input_time}  = time;
        $heap->{input_alarm} = $kernel->delay_set(input_alarm => INPUT_TIMEOUT_S);
    }
    if ($work eq 'storm') {
        $heap->{server}->put(LINE);
        return;
    }
    $heap->{left} = $per_connection;
    push @open, $heap;
    return if @open < $connections;
    if ($work eq 'pingpong') {
        @begin = taken();
        $_->{server}->put(LINE) for @open;
    } elsif ($work eq 'idle') {
        $memory     = anonymous_memory() - $memory;
        $operations = @open;
        report(0);
    }
}

sub on_disconnected {
    my ($kernel, $heap) = @_[KERNEL, HEAP];
    $kernel->alarm_remove($heap->{input_alarm}) if $timeouts;
    if ($work eq 'storm') {
        if    ($started < $job{operations}) { start_connection() }
        elsif (++$ended == $connections)    { report(0) }
    } elsif ($work ne 'bulk' && $work ne 'lines') {
        report(1);
    } elsif (++$ended == $connections) {
        report(0);
    }
    $kernel->yield('shutdown');
}

sub start_connection {
    POE::Component::Client::TCP->new(
        RemoteAddress => '127.0.0.' . (1 + $started++ % 32),
        RemotePort    => $port,
        Filter        => $filter->(),
        Connected     => \&on_connected,
        ServerInput   => \&on_input,
        Disconnected  => \&on_disconnected,
        ConnectError  => sub { report(1) },
        ServerError   => sub { $_[ARG1] and report(1) },
        $timeouts ? (ConnectTimeout => CONNECT_TIMEOUT_S) : (),
        InlineStates => { input_alarm => \&on_input_alarm },
    );
}

@begin  = taken();
$memory = anonymous_memory() if $work eq 'idle';
start_connection() for 1 .. $connections;
POE::Kernel->run;
