# SPDX-License-Identifier: ISC
# shellcheck shell=sh
#
# What the scripts share; sourced, POSIX sh. TOP must be set to the checkout.
#
# Everything the scripts make lies under $PUSH_VAR (default var/):
#   build/  the daemon          pg/     the cluster     uploads/  the demo's
#   log/    one per process     run/    pids, sockets   pgpass, jwt.secret

set -eu

# PGPUSH_... are the daemon's settings, and a script's own would be unknown ones.
for old in PORT DEMO_PORT PG_PORT VAR BUILD; do
	eval "old_value=\${PGPUSH_$old-}"
	if [ -n "$old_value" ]; then
		echo "${0##*/}: PGPUSH_$old is called PUSH_$old now" >&2
		exit 1
	fi
done

VAR=${PUSH_VAR:-$TOP/var}
case $VAR in
/*) ;;
*) VAR=$PWD/$VAR ;;
esac

say()
{
	echo "${0##*/}: $*" >&2
}

die()
{
	say "$*"
	exit 1
}

# --- packages -------------------------------------------------------------

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "needs root or sudo to run: $*"
	fi
}

# Whether what the package brings is here, wherever it came from.
has_package()
{
	case $1 in
	gcc) command -v cc ;;
	make | autoconf | automake | chromium | curl | mandoc | openssl | python3)
		command -v "$1" ;;
	pkg-config) command -v pkg-config ;;
	libevent-dev) pkg-config --exists libevent_core libevent_extra ;;
	libpq-dev) pkg-config --exists libpq ;;
	libjansson-dev) pkg-config --exists jansson ;;
	libjwt-dev) pkg-config --exists libjwt ;;
	libssl-dev) pkg-config --exists libssl libcrypto ;;
	postgresql) pg_bindir ;;
	nodejs) command -v node ;;
	*) dpkg-query -W -f '${Status}' "$1" | grep -q ' installed$' ;;
	esac >/dev/null 2>&1
}

# need_packages PACKAGE...: install those that are missing.
need_packages()
{
	np_missing=
	for np_one in "$@"; do
		has_package "$np_one" || np_missing="$np_missing $np_one"
	done
	[ -n "$np_missing" ] || return 0
	command -v apt-get >/dev/null ||
	    die "missing:$np_missing (and there is no apt-get to install them)"
	say "installing$np_missing"

	# Installing PostgreSQL must not leave a server of the system's behind.
	np_conf=/etc/postgresql-common/createcluster.d/pgpush-script.conf
	np_made=
	case " $np_missing " in
	*" postgresql"*)
		if ! has_package postgresql-common; then
			as_root mkdir -p "${np_conf%/*}"
			echo 'create_main_cluster = false' |
			    as_root tee "$np_conf" >/dev/null
			np_made=yes
		fi
		;;
	esac
	np_rc=0
	# shellcheck disable=SC2086 # a list of words
	apt_get update && apt_get install --no-install-recommends $np_missing ||
	    np_rc=$?
	[ -z "$np_made" ] || as_root rm -f "$np_conf"
	[ "$np_rc" -eq 0 ] || die "apt-get could not install$np_missing"
}

apt_get()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
	    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" </dev/null >&2
}

# A machine may carry another node than Debian's, which conflicts with Debian's
# npm: nothing is installed where both commands are there.
need_node()
{
	if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
		need_packages ca-certificates nodejs npm
	fi
	node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' ||
	    die "node $(node --version) is too old, 18 is needed"
}

# need_npm DIR: npm ci, unless that has happened since the lock file changed. npm
# writes its own copy of it last.
need_npm()
{
	! [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] ||
	    return 0
	say "npm ci in ${1##*/}"
	(cd "$1" && npm ci --no-audit --no-fund </dev/null >&2) ||
	    die "npm ci failed in $1"
}

# build_page: demo/dist from demo/web and the package, unless it is newer than
# what it is made of. What is there stays until the new one is whole.
build_page()
{
	(
		flock 8
		bg_to=$TOP/demo/dist
		if [ -f "$bg_to/index.html" ] && [ -z "$(find "$TOP/demo/web" \
		    "$TOP/demo/package-lock.json" "$TOP/client/src" \
		    -newer "$bg_to/index.html" -print -quit)" ]; then
			exit 0
		fi
		say "building the page"
		cd "$TOP/demo"
		node_modules/.bin/vite build web --logLevel warn --emptyOutDir \
		    --outDir "$bg_to.new" </dev/null >&2 8<&- ||
		    die "the page could not be built"
		rm -rf "$bg_to"
		mv "$bg_to.new" "$bg_to"
	) 8<"$TOP/demo/package.json"
}

need_build_packages()
{
	need_packages gcc libc6-dev make autoconf automake pkg-config
	need_packages libevent-dev libpq-dev libjansson-dev libjwt-dev \
	    libssl-dev
}

# --- the daemon -----------------------------------------------------------

# build_daemon DIR [configure's arguments]: out of tree, so that builds with
# different options do not meet. A tree that is configured in place can only be
# built in place. Sets PGPUSHD.
build_daemon()
{
	bd_dir=$1
	shift
	if [ ! -f "$TOP/configure" ]; then
		say "bootstrap"
		(cd "$TOP" && ./bootstrap >&2)
	fi
	if [ -f "$bd_dir/config.status" ]; then
		:
	elif [ -f "$TOP/config.status" ]; then
		say "$TOP is configured, building there"
		bd_dir=$TOP
	else
		say "configure"
		mkdir -p "$bd_dir"
		(cd "$bd_dir" && "$TOP/configure" --quiet "$@" >&2)
	fi
	make -s -C "$bd_dir" -j "$(nproc)" all >&2 || die "the build failed"
	# shellcheck disable=SC2034 # for who sources this
	PGPUSHD=$bd_dir/src/pgpushd
}

# --- PostgreSQL -----------------------------------------------------------

# Where initdb and postgres are: the newest, or the version asked for.
pg_bindir()
{
	pb_found=
	for pb_dir in /usr/lib/postgresql/${1:-*}/bin; do
		[ -x "$pb_dir/initdb" ] || continue
		pb_v=${pb_dir%/bin}
		pb_v=${pb_v##*/}
		[ "$pb_v" -ge 14 ] || continue
		if [ -z "$pb_found" ] || [ "$pb_v" -gt "$pb_found" ]; then
			pb_found=$pb_v
		fi
	done
	if [ -n "$pb_found" ]; then
		echo "/usr/lib/postgresql/$pb_found/bin"
	elif pb_dir=$(pg_config --bindir 2>/dev/null) &&
	    [ -x "$pb_dir/initdb" ]; then
		echo "$pb_dir"
	else
		return 1
	fi
}

# PostgreSQL's own tools refuse to run as root: then they run as the user
# postgres, who may enter DIR only by a capability if the checkout lies under a
# closed folder (/root). find_as_postgres DIR sets AS_POSTGRES, the arguments of
# setpriv for that. (Asked by stat: access() ignores capabilities.)
find_as_postgres()
{
	for fp_cap in '' dac_read_search dac_override; do
		AS_POSTGRES="--reuid postgres --regid postgres --init-groups"
		AS_POSTGRES="$AS_POSTGRES\
${fp_cap:+ --inh-caps=+$fp_cap --ambient-caps=+$fp_cap}"
		# shellcheck disable=SC2086 # a list of words
		if setpriv $AS_POSTGRES test -d "$1/." 2>/dev/null; then
			return 0
		fi
	done
	die "the user postgres may not enter $1; set PUSH_VAR to a folder" \
	    "outside of closed directories"
}

# as_postgres COMMAND...: after find_as_postgres, from a folder he can enter.
as_postgres()
{
	if [ "$(id -u)" -ne 0 ]; then
		(cd / && exec "$@")
	else
		# shellcheck disable=SC2086 # a list of words
		(cd / && exec setpriv $AS_POSTGRES "$@")
	fi
}

random_hex()
{
	od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# Environment for psql and for node's pg, and CONNINFO for libpq; the role is
# not part of it. A socket's path may have 107 bytes.
pg_environment()
{
	PGHOST=$VAR/run/pg
	pe_socket=$PGHOST/.s.PGSQL.$PUSH_PG_PORT
	[ "$(printf %s "$pe_socket" | wc -c)" -le 107 ] || PGHOST=127.0.0.1
	PGPORT=$PUSH_PG_PORT
	PGDATABASE=pgpush
	PGPASSFILE=$VAR/pgpass
	export PGHOST PGPORT PGDATABASE PGPASSFILE
	unset PGUSER PGPASSWORD PGSERVICE PGSERVICEFILE PGOPTIONS PGHOSTADDR \
	    PGSSLMODE PGTARGETSESSIONATTRS
	# shellcheck disable=SC2034 # for who sources this
	CONNINFO="host=$(quoted "$PGHOST") port=$PGPORT dbname=$PGDATABASE \
passfile=$(quoted "$PGPASSFILE")"
}

# Of a role, as script/server has set it.
password()
{
	sed -n "s/^\*:\*:\*:$1://p" "$VAR/pgpass"
}

# A value in a conninfo string.
quoted()
{
	printf "'%s'" "$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")"
}

# --- settings -------------------------------------------------------------

# Ports come from the environment; for the other scripts, from the server that
# was started last.
settings()
{
	st_state=$VAR/run/ports
	if [ -n "${1:-}" ] && [ -r "$st_state" ]; then
		while read -r st_name st_port; do
			case $st_name in
			PUSH_PORT) : "${PUSH_PORT:=$st_port}" ;;
			PUSH_DEMO_PORT) : "${PUSH_DEMO_PORT:=$st_port}" ;;
			PUSH_PG_PORT) : "${PUSH_PG_PORT:=$st_port}" ;;
			esac
		done <"$st_state"
	fi
	: "${PUSH_PORT:=8081}" "${PUSH_DEMO_PORT:=8080}"
	: "${PUSH_PG_PORT:=54329}"
	for st_name in PUSH_PORT PUSH_DEMO_PORT PUSH_PG_PORT; do
		eval "st_port=\$$st_name"
		case $st_port in
		'' | *[!0-9]* | ??????*) die "$st_name: not a port: $st_port" ;;
		esac
	done
	PUSH_VAR=$VAR
	export PUSH_PORT PUSH_DEMO_PORT PUSH_PG_PORT PUSH_VAR
}

# For script/psql and script/token: the running server's settings.
settings_of_running()
{
	settings running
	[ -r "$VAR/pgpass" ] && [ -e "$VAR/run/ports" ] ||
	    die "script/server is not running (looked in $VAR)"
	pg_environment
}
