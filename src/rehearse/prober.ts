// The program that sends and answers in all namespaces: one process that changes its namespace for each socket. Its
// standard input has a line for each namespace, service and probe; it prints a line for each answer.
//
//     space INDEX PATH                       a namespace, `-` for the one that it is started in
//     listen INDEX tcp|udp ADDRESS PORT      a service there
//     probe ID INDEX tcp|udp|icmp ADDRESS PORT
//     chunk                                  what has been asked for since the last one is sent together
//     go MILLISECONDS FORGET                 sends; every probe waits so long; with FORGET 1 neighbours are forgotten
//     answer ID SEEN INDEX|- SOURCE|-        its answer: what the sender saw, who was reached, from which source
//
// Who is reached is seen at the place itself, by a raw socket behind its firewall: it knows a TCP probe by its source
// port, which is used once only, and a ping by its payload. Services answer UDP with what they have seen.
//
// It is Perl that is part of every Debian (perl-base): no module but Socket and Errno. It is told the numbers of the calls
// setns and clock_gettime, for which Perl has no names.

export const PERL: string = String.raw`
use strict;
use Socket qw(:DEFAULT inet_pton inet_ntop SOCK_NONBLOCK AF_INET6 IPPROTO_IPV6 IPV6_V6ONLY pack_sockaddr_in6 unpack_sockaddr_in6);
use Errno qw(ECONNREFUSED ECONNRESET EHOSTUNREACH ENETUNREACH EADDRNOTAVAIL EADDRINUSE EINVAL EINPROGRESS EAGAIN);

my ($setns, $gettime) = @ARGV;
my ($here, %home) = (-1);

sub now {
  my $time = "\0" x 32;
  syscall($gettime + 0, 1, $time);
  my ($seconds, $nano) = unpack 'l!l!', $time;
  return $seconds + $nano / 1e9;
}

sub enter {
  my ($space) = @_;
  return if $here == $space;
  syscall($setns + 0, fileno $home{$space}, 0x40000000) == 0 or die "setns: $!\n";
  $here = $space;
}

my ($readable, $writable, %handler) = ('', '');

sub watch {
  my ($sock, $handler) = @_;
  vec($readable, fileno $sock, 1) = 1;
  $handler{fileno $sock} = $handler;
}

# Only segments that open a connection: SYN without ACK.
sub syn_filter {
  my ($family) = @_;
  my @code = $family == 4 ? ([0xb1, 0, 0, 0], [0x50, 0, 0, 13]) : ([0x30, 0, 0, 13]);
  push @code, [0x54, 0, 0, 0x12], [0x15, 0, 1, 0x02], [0x06, 0, 0, 0xffff], [0x06, 0, 0, 0];
  return scalar @code, join '', map { pack 'SCCL', @$_ } @code;
}

my %FAMILY = (4 => AF_INET, 6 => AF_INET6);
my (@spaces, %pinger, %arrived, %pending, %answer, %port_of, %used, @queue);
# What has been asked for together, and how much of it is open.
my ($chunk, @open) = (0);

sub to_address {
  my ($family, $port, $address) = @_;
  my $packed = inet_pton($FAMILY{$family}, $address);
  return $family == 4 ? pack_sockaddr_in($port, $packed) : pack_sockaddr_in6($port, $packed);
}

sub from_address {
  my ($family, $sender) = @_;
  return inet_ntop($FAMILY{$family}, $family == 4 ? (unpack_sockaddr_in $sender)[1] : (unpack_sockaddr_in6 $sender)[1]);
}

sub raw {
  my ($space, $family, $protocol, $handler) = @_;
  socket(my $sock, $FAMILY{$family}, SOCK_RAW | SOCK_NONBLOCK, $protocol) or return undef;
  if ($protocol == 6) {
    my ($count, $code) = syn_filter($family);
    setsockopt($sock, SOL_SOCKET, 26, pack 'S x![P] P', $count, $code) or die "filter: $!\n";
  }
  setsockopt($sock, SOL_SOCKET, 33, pack 'i', 1 << 22);
  watch($sock, sub { $handler->($space, $family, $sock) });
  return $sock;
}

sub open_space {
  my ($space, $path) = @_;
  open $home{$space}, '<', $path eq '-' ? '/proc/self/ns/net' : $path or die "$path: $!\n";
  push @spaces, $space;
  enter($space);
  for my $family (4, 6) {
    raw($space, $family, 6, \&on_syn);
    $pinger{"$space $family"} = raw($space, $family, $family == 4 ? 1 : 58, \&on_icmp);
  }
}

# What has come in: up to 256 packets, without the head of IPv4, each with its sender.
sub drain {
  my ($sock, $take, $head) = @_;
  for (1 .. 256) {
    my $sender = recv $sock, my $data, 512, 0;
    return if !defined $sender;
    $data = substr $data, (ord($data) & 15) * 4 if $head;
    $take->($data, $sender);
  }
}

sub on_syn {
  my ($space, $family, $sock) = @_;
  drain($sock, sub {
    my ($data, $sender) = @_;
    return if length $data < 14 || (ord(substr $data, 13) & 0x12) != 0x02;
    $arrived{'port ' . unpack 'n', $data} = "$space " . from_address($family, $sender);
  }, $family == 4);
}

my $MARK = 'netplan ';
my %KINDS = (4 => [0, 8, 3], 6 => [129, 128, 1]);
my %UNREACHABLE = (
  4 => {0 => 'no-route', 1 => 'no-neighbour', 5 => 'no-route', 6 => 'no-route', 7 => 'no-neighbour'},
  6 => {0 => 'no-route', 3 => 'no-neighbour', 2 => 'no-route'}
);

sub on_icmp {
  my ($space, $family, $sock) = @_;
  my ($reply, $request, $unreachable) = @{$KINDS{$family}};
  drain($sock, sub {
    my ($data, $sender) = @_;
    return if length $data < 8;
    my $at = index $data, $MARK, 8;
    return if $at < 0 || length $data < $at + 12;
    my ($kind, $code, $probe) = (unpack('CC', $data), unpack 'N', substr $data, $at + 8, 4);
    if ($kind == $request) {
      $arrived{"icmp $probe"} = "$space " . from_address($family, $sender);
    } elsif (exists $pending{$probe} && $pending{$probe}[1] == $space) {
      settle($probe, 'answered') if $kind == $reply;
      settle($probe, $UNREACHABLE{$family}{$code} // 'refused') if $kind == $unreachable;
    }
  }, $family == 4);
}

sub serve {
  my ($space, $protocol, $address, $port) = @_;
  enter($space);
  for my $family ($address eq '*' ? (4, 6) : $address =~ /:/ ? (6) : (4)) {
    my $any = $family == 4 ? '0.0.0.0' : '::';
    socket(my $sock, $FAMILY{$family}, ($protocol eq 'tcp' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0) or next;
    setsockopt $sock, SOL_SOCKET, SO_REUSEADDR, 1;
    setsockopt $sock, IPPROTO_IPV6, IPV6_V6ONLY, 1 if $family == 6;
    bind $sock, to_address($family, $port, $address eq '*' ? $any : $address) or next;
    if ($protocol eq 'tcp') {
      listen $sock, 4096;
      watch($sock, sub { for (1 .. 256) { accept(my $peer, $sock) or return } });
    } else {
      watch($sock, sub {
        drain($sock, sub {
          my ($data, $sender) = @_;
          send $sock, "$MARK$space " . from_address($family, $sender), 0, $sender if index($data, $MARK) == 0;
        });
      });
    }
  }
}

my %SEEN = (
  ECONNREFUSED, 'refused', ECONNRESET, 'refused', EHOSTUNREACH, 'no-neighbour', ENETUNREACH, 'no-route',
  EADDRNOTAVAIL, 'no-route', EINVAL, 'no-route'
);

sub settle {
  my ($probe, $seen) = @_;
  my $entry = delete $pending{$probe} or return;
  $answer{$probe} = $seen;
  --$open[$entry->[3]];
  my $sock = $entry->[2] or return;
  vec($readable, fileno $sock, 1) = vec($writable, fileno $sock, 1) = 0;
  delete $handler{fileno $sock};
  close $sock;
}

my $next_port = 20000;

sub source_port {
  do { $next_port = $next_port >= 60000 ? 20000 : $next_port + 1 } while $used{$next_port};
  return $next_port;
}

sub checksum {
  my $total = unpack '%32n*', $_[0];
  $total = ($total >> 16) + ($total & 0xffff);
  return ~($total + ($total >> 16)) & 0xffff;
}

sub ask {
  my ($probe, $space, $protocol, $address, $port) = @_;
  enter($space);
  my $family = $address =~ /:/ ? 6 : 4;
  my $to = to_address($family, $port, $address);
  $pending{$probe} = my $entry = [now(), $space, undef, $chunk];
  ++$open[$chunk];
  push @queue, $probe;
  delete $arrived{"$protocol $probe"};
  if ($protocol eq 'icmp') {
    my $data = $MARK . pack 'N x4', $probe;
    my @head = ($KINDS{$family}[1], 0, 0, $space & 0xffff, $probe & 0xffff);
    $head[2] = checksum(pack('CCnnn', @head) . $data) if $family == 4;
    my $sock = $pinger{"$space $family"} or return settle($probe, 'no-route');
    send $sock, pack('CCnnn', @head) . $data, 0, $to or settle($probe, $SEEN{$! + 0} // 'timeout');
    return;
  }
  my $fail = sub { settle($probe, $SEEN{$! + 0} // 'timeout') };
  socket(my $sock, $FAMILY{$family}, ($protocol eq 'tcp' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0) or return $fail->();
  $entry->[2] = $sock;
  # Else TCP does not tell of every router that has no route.
  setsockopt $sock, $family == 4 ? 0 : 41, $family == 4 ? 11 : 25, 1;
  if ($protocol eq 'tcp') {
    setsockopt $sock, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    my ($own, $tries) = (0, 0);
    do {
      return $fail->() if $tries++ > 0 && ($! != EADDRINUSE || $tries > 100);
      $own = source_port();
    } until bind $sock, to_address($family, $own, $family == 4 ? '0.0.0.0' : '::');
    $port_of{$probe} = $own;
    delete $arrived{"port $own"};
    connect $sock, $to or $! == EINPROGRESS or return $fail->();
    vec($writable, fileno $sock, 1) = 1;
    $handler{fileno $sock} = sub {
      my $code = unpack 'i', getsockopt $sock, SOL_SOCKET, SO_ERROR;
      settle($probe, $code == 0 ? 'answered' : $SEEN{$code} // 'timeout');
    };
  } else {
    connect $sock, $to and defined send $sock, $MARK, 0 or return $fail->();
    watch($sock, sub {
      my $data;
      if (!defined recv $sock, $data, 2048, 0) {
        $fail->() if $! != EAGAIN;
      } elsif (index($data, $MARK) == 0) {
        $arrived{"udp $probe"} = substr $data, length $MARK;
        settle($probe, 'answered');
      }
    });
  }
}

sub turn {
  my ($seconds) = @_;
  # Looked at rarely, much has come in each time.
  select undef, undef, undef, 0.001 if $seconds > 0.001;
  my $count = select my $in = $readable, my $out = $writable, undef, $seconds;
  return 0 if $count <= 0;
  my $bits = unpack 'b*', $in | $out;
  for (my $at = index $bits, '1'; $at >= 0; $at = index $bits, '1', $at + 1) {
    my $handler = $handler{$at};
    $handler->() if defined $handler;
  }
  return $count;
}

# The messages that the kernel answers a request of a namespace with; none where it refuses.
sub dump_of {
  my ($sock, $request) = @_;
  send $sock, $request, 0 or return;
  my @found;
  while (defined recv $sock, my $data, 1 << 16, 0) {
    return @found if $data eq '';
    while (length $data >= 16) {
      my ($length, $kind) = unpack 'LS', $data;
      return @found if $kind == 2 || $kind == 3 || $length < 16;
      push @found, [$kind, substr $data, 16, $length - 16];
      substr $data, 0, ($length + 3) & ~3, '';
    }
  }
  return @found;
}

sub attributes {
  my ($text) = @_;
  my %found;
  while (length $text >= 4) {
    my ($size, $name) = unpack 'SS', $text;
    last if $size < 4;
    $found{$name} = substr $text, 4, $size - 4;
    substr $text, 0, ($size + 3) & ~3, '';
  }
  return \%found;
}

# The entries of a namespace's neighbour tables are taken out, but for those that are still asked for.
sub forget {
  my ($space) = @_;
  enter($space);
  socket my $sock, 16, SOCK_RAW, 0 or return;
  my @out;
  for (dump_of($sock, pack 'LSSLL Cx3lSCC', 28, 30, 0x301, 1, 0, 0, 0, 0, 0, 0)) {
    my ($kind, $body) = @$_;
    my ($family, $index, $state) = unpack 'Cx3lS', $body;
    next if $kind != 28 || ($family != AF_INET && $family != AF_INET6) || $state & 0xc1;
    my $address = attributes(substr $body, 12)->{1} // next;
    push @out, pack 'LSSLL Cx3lSCC SSa*', 32 + length $address, 29, 1, 1, 0, $family, $index, 0, 0, 0, 4 + length $address, 1, $address;
  }
  send $sock, join('', splice @out, 0, 200), 0 while @out;
}

# A link whose carrier the kernel has not got round to: what is sent there is lost.
sub is_settled {
  my ($space) = @_;
  enter($space);
  socket my $sock, 16, SOCK_RAW, 0 or return 1;
  for (dump_of($sock, pack 'LSSLL CxSlLL', 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0)) {
    my $flags = unpack 'x8L', $_->[1];
    my $found = attributes(substr $_->[1], 16);
    my ($carrier, $state) = map { ord($found->{$_} // '') } 33, 16;
    return 0 if $carrier == 1 && ($state == 2 || $state == 3) && $flags & 1;
  }
  return 1;
}

sub settle_links {
  my $limit = now() + 1;
  for my $space (@spaces) {
    select undef, undef, undef, 0.005 while !is_settled($space) && now() < $limit;
  }
}

# What has had its time is over; an open connection would be tried again, in the midst of other probes.
sub expire {
  my ($wait) = @_;
  while (@queue) {
    my $entry = $pending{$queue[0]};
    if ($entry) {
      my $left = $entry->[0] + $wait - now();
      return $left if $left > 0;
      settle($queue[0], 'timeout');
    }
    shift @queue;
  }
  return 0;
}

sub run {
  my ($chunks, $wait, $forgets) = @_;
  for (@$chunks) {
    my $count = 0;
    ++$chunk;
    for (sort { $a->[1] <=> $b->[1] } @$_) {
      ask(@$_);
      next if ++$count % 32;
      turn(0);
      expire($wait);
    }
    my $quiet = now() + 0.02;
    while ($open[$chunk] > 0) {
      my $left = $quiet - now();
      last if $left <= 0;
      $quiet = now() + 0.02 if turn($left) > 0;
    }
    if ($forgets) { forget($_) for @spaces }
  }
  turn(expire($wait)) while %pending;
  turn(0);
  for (map { @$_ } @$chunks) {
    my ($probe, $space, $protocol) = @$_;
    my $who = $arrived{$protocol eq 'tcp' ? 'port ' . ($port_of{$probe} // '') : "$protocol $probe"} // '- -';
    print "answer $probe ", delete $answer{$probe} // 'timeout', " $who\n";
  }
  $| = 1;
  print "done\n";
  $| = 0;
}

my (@chunks, $is_old);
push @chunks, [];
while (<STDIN>) {
  my ($what, @words) = split;
  if ($what eq 'space') {
    open_space(@words);
  } elsif ($what eq 'listen') {
    $used{$words[3]} = 1;
    serve(@words);
  } elsif ($what eq 'probe') {
    push @{$chunks[-1]}, \@words;
  } elsif ($what eq 'chunk') {
    push @chunks, [];
  } elsif ($what eq 'go') {
    settle_links() if !$is_old++;
    run([grep { @$_ } @chunks], $words[0] / 1000, $words[1]);
    @chunks = ([]);
  }
}
`
