// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * rpma_bytes ADDRESS PORT TO          the server: lets others write the file TO
 * rpma_bytes ADDRESS PORT FROM BACK   the client: writes FROM into TO, flushes it
 *                                     to persistence, reads TO into BACK
 *
 * librpma on memory-mapped files, which are of one size. On fsdax librpma learns
 * that pinning is refused, and registers on demand.
 */
#include <err.h>
#include <fcntl.h>
#include <librpma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUST(call)                                                     \
	do {                                                           \
		int ret_ = (call);                                     \
		if (ret_)                                              \
			errx(1, "%s: %s", #call, rpma_err_2str(ret_)); \
	} while (0)

enum { PIECE = 1000003 }; /* of a WRITE; odd */

struct mapped {
	char *p;
	size_t size;
	struct rpma_mr_local *mr;
};

static struct rpma_peer *peer;

static struct mapped map(const char *path, int usage)
{
	struct mapped m = {};
	struct stat st;
	int fd = open(path, O_RDWR);

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	m.size = st.st_size;
	m.p = mmap(NULL, m.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m.p == MAP_FAILED)
		err(1, "mmap %s", path);
	close(fd);
	MUST(rpma_mr_reg(peer, m.p, m.size, usage, &m.mr));
	return m;
}

static void expect(struct rpma_conn *conn, enum rpma_conn_event wanted)
{
	enum rpma_conn_event got;

	MUST(rpma_conn_next_event(conn, &got));
	if (got != wanted)
		errx(1, "the connection says %s, not %s", rpma_utils_conn_event_2str(got),
		     rpma_utils_conn_event_2str(wanted));
}

/* Wait for the completion of one work request. */
static void done(struct rpma_conn *conn)
{
	struct rpma_cq *cq;
	struct ibv_wc wc;

	MUST(rpma_conn_get_cq(conn, &cq));
	for (;;) {
		int ret = rpma_cq_get_wc(cq, 1, &wc, NULL);

		if (!ret)
			break;
		if (ret != RPMA_E_NO_COMPLETION)
			errx(1, "rpma_cq_get_wc: %s", rpma_err_2str(ret));
		MUST(rpma_cq_wait(cq));
	}
	if (wc.status)
		errx(1, "a work request failed: %s", ibv_wc_status_str(wc.status));
}

static void serve(const char *address, const char *port, const char *to)
{
	struct mapped m = map(to, RPMA_MR_USAGE_WRITE_DST | RPMA_MR_USAGE_READ_SRC |
					  RPMA_MR_USAGE_FLUSH_TYPE_PERSISTENT |
					  RPMA_MR_USAGE_FLUSH_TYPE_VISIBILITY);
	struct rpma_conn_private_data data = {};
	struct rpma_conn_req *request;
	struct rpma_conn *conn;
	struct rpma_ep *ep;
	size_t size;

	MUST(rpma_mr_get_descriptor_size(m.mr, &size));
	data.ptr = malloc(size);
	data.len = size;
	MUST(rpma_mr_get_descriptor(m.mr, data.ptr));
	MUST(rpma_ep_listen(peer, address, port, &ep));
	MUST(rpma_ep_next_conn_req(ep, NULL, &request));
	MUST(rpma_conn_req_connect(&request, &data, &conn));
	expect(conn, RPMA_CONN_ESTABLISHED);
	expect(conn, RPMA_CONN_CLOSED);
	MUST(rpma_conn_disconnect(conn));
	MUST(rpma_conn_delete(&conn));
	MUST(rpma_ep_shutdown(&ep));
	MUST(rpma_mr_dereg(&m.mr));
}

static void transfer(const char *address, const char *port, const char *from, const char *back)
{
	struct mapped source = map(from, RPMA_MR_USAGE_WRITE_SRC),
		      sink = map(back, RPMA_MR_USAGE_READ_DST);
	struct rpma_conn_private_data data;
	struct rpma_peer_cfg *settings;
	struct rpma_mr_remote *target;
	struct rpma_conn_req *request;
	struct rpma_conn *conn;
	size_t at, n;

	MUST(rpma_conn_req_new(peer, address, port, NULL, &request));
	MUST(rpma_conn_req_connect(&request, NULL, &conn));
	expect(conn, RPMA_CONN_ESTABLISHED);
	/* Data that the device has written is in the file, not in a NIC. */
	MUST(rpma_peer_cfg_new(&settings));
	MUST(rpma_peer_cfg_set_direct_write_to_pmem(settings, true));
	MUST(rpma_conn_apply_remote_peer_cfg(conn, settings));
	MUST(rpma_peer_cfg_delete(&settings));
	MUST(rpma_conn_get_private_data(conn, &data));
	MUST(rpma_mr_remote_from_descriptor(data.ptr, data.len, &target));
	for (at = 0; at < source.size; at += n) {
		n = source.size - at < PIECE ? source.size - at : PIECE;
		MUST(rpma_write(conn, target, at, source.mr, at, n, RPMA_F_COMPLETION_ALWAYS,
				NULL));
		done(conn);
	}
	MUST(rpma_flush(conn, target, 0, source.size, RPMA_FLUSH_TYPE_PERSISTENT,
			RPMA_F_COMPLETION_ALWAYS, NULL));
	done(conn);
	MUST(rpma_read(conn, sink.mr, 0, target, 0, sink.size, RPMA_F_COMPLETION_ALWAYS, NULL));
	done(conn);
	MUST(rpma_conn_disconnect(conn));
	expect(conn, RPMA_CONN_CLOSED);
	MUST(rpma_mr_remote_delete(&target));
	MUST(rpma_conn_delete(&conn));
	MUST(rpma_mr_dereg(&source.mr));
	MUST(rpma_mr_dereg(&sink.mr));
}

int main(int argc, char **argv)
{
	struct ibv_context *context;

	if (argc < 4)
		errx(2, "usage: rpma_bytes ADDRESS PORT TO | ADDRESS PORT FROM BACK");
	MUST(rpma_utils_get_ibv_context(
		argv[1], argc > 4 ? RPMA_UTIL_IBV_CONTEXT_REMOTE : RPMA_UTIL_IBV_CONTEXT_LOCAL,
		&context));
	MUST(rpma_peer_new(context, &peer));
	if (argc > 4)
		transfer(argv[1], argv[2], argv[3], argv[4]);
	else
		serve(argv[1], argv[2], argv[3]);
	MUST(rpma_peer_delete(&peer));
	return 0;
}
