"""What the scripts under Cluster and Tests share: processes, local clusters, clients, checks."""
