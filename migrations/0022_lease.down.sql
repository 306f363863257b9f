DROP TABLE settler_lease;
