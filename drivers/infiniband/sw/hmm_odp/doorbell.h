/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The doorbell file of a process's context (layer 6): model in doorbell.c. */
#ifndef HODP_DOORBELL_H
#define HODP_DOORBELL_H

#include "qp.h"

struct file;
struct hodp_doorbell;

/**
 * hodp_doorbell_open - make the file of a new context
 * @file: gets the file; the caller installs it, or drops it with fput()
 *
 * Return: the context's reference, hodp_doorbell_close(); ERR_PTR(-ENOMEM).
 */
struct hodp_doorbell *hodp_doorbell_open(struct file **file);

/* One more file of the same context, for whoever imports it; or ERR_PTR. */
struct file *hodp_doorbell_share(struct hodp_doorbell *db);
void hodp_doorbell_close(struct hodp_doorbell *db);

/* A QP can be rung from now on (0, -ENOMEM), or never again. */
int hodp_doorbell_add(struct hodp_doorbell *db, struct hodp_qp *qp);
void hodp_doorbell_remove(struct hodp_doorbell *db, struct hodp_qp *qp);

#endif /* HODP_DOORBELL_H */
