#!/usr/bin/env bash
# A real SLURM of one node, this machine, for tests; no accounting.
#
#   sudo bash scripts/slurm/single_node.sh install   # Debian's packages
#   sudo bash scripts/slurm/single_node.sh start     # munged, slurmctld, slurmd
#   make test-slurm
#   sudo bash scripts/slurm/single_node.sh stop
#
# Several words are done one after the other: `install start`. As root, in a
# container too: the daemons are started by hand, not by systemd, and no cgroups
# are used. Partitions: low, the default, whose jobs go back into the queue for
# those of high. A slurm.conf that is not ours is left alone.

set -euo pipefail

readonly CONF=/etc/slurm/slurm.conf OURS='# rlhf_jax: a node for tests'
readonly SPOOL=/var/spool/rlhf_jax_slurm LOGS=/var/log/slurm

fail() {
  echo "error: $*" >&2
  exit 1
}

install() {
  if command -v slurmctld > /dev/null && command -v munged > /dev/null; then
    echo "there is $(slurmd -V) already"
    return
  fi
  command -v apt-get > /dev/null || fail 'wanted Debian or Ubuntu: no apt-get'
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null
  echo "installed $(slurmd -V), munge $(munge --version | head -1)"
}

configure() {
  if [[ -f $CONF ]] && ! grep -qF "$OURS" "$CONF"; then
    fail "$CONF is of another SLURM: this machine has one already"
  fi
  local host memory
  host=$(hostname -s)
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
  mkdir -p /etc/slurm "$SPOOL/ctld" "$SPOOL/d" "$LOGS"
  cat > "$CONF" << END
$OURS
ClusterName=rlhf_jax
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A job that goes back into the queue waits until its credential is void.
AuthInfo=cred_expire=5
StateSaveLocation=$SPOOL/ctld
SlurmdSpoolDir=$SPOOL/d
SlurmctldPidFile=$SPOOL/slurmctld.pid
SlurmdPidFile=$SPOOL/slurmd.pid
SlurmctldLogFile=$LOGS/slurmctld.log
SlurmdLogFile=$LOGS/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=2
MinJobAge=300
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName=high Nodes=ALL MaxTime=INFINITE PriorityTier=2 State=UP
END
  # Before 23.02 there was no such plugin, and nothing that asked for one.
  rm -f /etc/slurm/cgroup.conf
  if [[ $(slurmd -V | grep -oE '[0-9]+' | head -1) -ge 23 ]]; then
    echo 'CgroupPlugin=disabled' > /etc/slurm/cgroup.conf
  fi
}

# Whether the process whose number a file has is there.
lives() {
  [[ -s $1 ]] && kill -0 "$(cat "$1")" 2> /dev/null
}

start() {
  command -v slurmctld > /dev/null || fail "no slurmctld: bash $0 install"
  configure
  if ! lives /run/munge/munged.pid; then
    [[ -s /etc/munge/munge.key ]] || mungekey --create
    install_folder munge /run/munge /var/log/munge /var/lib/munge /etc/munge
    runuser -u munge -- munged
  fi
  lives "$SPOOL/slurmctld.pid" || slurmctld
  lives "$SPOOL/slurmd.pid" || slurmd -N "$(hostname -s)"
  for _ in $(seq 60); do
    if [[ $(sinfo -h -p low -o %t 2> /dev/null) =~ ^(idle|mix|alloc)$ ]]; then
      sinfo
      return
    fi
    sleep 0.5
  done
  tail -n 5 "$LOGS"/slurm*.log >&2 || true
  fail "the node is not up after half a minute: $(sinfo -h -o %T 2>&1)"
}

install_folder() {
  local user=$1
  shift
  mkdir -p "$@"
  chown "$user:" "$@"
  chmod 0700 "$@"
  chmod 0755 /run/munge
}

stop() {
  local file
  for file in "$SPOOL/slurmd.pid" "$SPOOL/slurmctld.pid" /run/munge/munged.pid; do
    if lives "$file"; then
      kill "$(cat "$file")"
    fi
  done
}

[[ $# -gt 0 ]] || fail "wanted install, start or stop: bash $0 install start"
[[ $(id -u) -eq 0 ]] || fail 'wanted root: the daemons start jobs of any user'
for word in "$@"; do
  case $word in
    install | start | stop) "$word" ;;
    *) fail "wanted install, start or stop, got $word" ;;
  esac
done
